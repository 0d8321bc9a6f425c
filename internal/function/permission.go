package function

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// permissions is the current resource policy of every function: written under
// the mutex, read without a lock.
type permissions struct {
	mu      sync.Mutex
	current atomic.Pointer[map[string][]iot.Permission]
}

// reload takes the stored permissions into force.
func (c *Catalog) reload() error {
	c.allowed.mu.Lock()
	defer c.allowed.mu.Unlock()
	now := make(map[string][]iot.Permission)
	for name := range c.functions {
		statements, err := c.cfg.Permissions.Permissions(name)
		if err != nil {
			return fmt.Errorf("permissions of %s: %w", name, err)
		}
		now[name] = statements
	}
	c.allowed.current.Store(&now)
	return nil
}

// PutPermission adds a statement to a function's resource policy; it is in force
// when the call returns. The error wraps [iot.ErrNotFound] or [iot.ErrExists].
func (c *Catalog) PutPermission(p iot.Permission) error {
	if !c.Exists(p.Function) {
		return fmt.Errorf("function %q: %w", p.Function, iot.ErrNotFound)
	}
	if err := c.cfg.Permissions.PutPermission(p); err != nil {
		return err
	}
	c.cfg.Log.Info("permission added", "function", p.Function, "statement", p.StatementID, "principal", p.Principal, "source", p.SourceARN)
	return c.reload()
}

// DeletePermission removes a statement; it is out of force when the call
// returns. The error wraps [iot.ErrNotFound].
func (c *Catalog) DeletePermission(function, statementID string) error {
	if err := c.cfg.Permissions.DeletePermission(function, statementID); err != nil {
		return err
	}
	c.cfg.Log.Info("permission removed", "function", function, "statement", statementID)
	return c.reload()
}

// Permissions returns the statements of a function's resource policy.
func (c *Catalog) Permissions(function string) ([]iot.Permission, error) {
	if !c.Exists(function) {
		return nil, fmt.Errorf("function %q: %w", function, iot.ErrNotFound)
	}
	return (*c.allowed.current.Load())[function], nil
}

// AllowRule decides whether the topic rule with this ARN may invoke a function,
// as AWS does for principal iot.amazonaws.com. The error wraps [iot.ErrDenied]
// and names the command that grants it, or [iot.ErrNotFound].
func (c *Catalog) AllowRule(function, ruleARN string) error {
	statements, ok := (*c.allowed.current.Load())[function]
	if !ok {
		return fmt.Errorf("function %q: %w", function, iot.ErrNotFound)
	}
	for _, p := range statements {
		if p.Principal == "iot.amazonaws.com" && coversInvoke(p.Action) &&
			(p.SourceARN == "" || like(p.SourceARN, ruleARN)) &&
			(p.SourceAccount == "" || p.SourceAccount == c.cfg.Account.ID) {
			return nil
		}
	}
	return fmt.Errorf("no permission lets iot.amazonaws.com invoke %s for %s (aws lambda add-permission --function-name %[1]s --statement-id iot-invoke --action lambda:InvokeFunction --principal iot.amazonaws.com --source-arn %[2]s): %w",
		function, ruleARN, iot.ErrDenied)
}

func coversInvoke(action string) bool {
	return action == "lambda:InvokeFunction" || action == "lambda:*" || action == "*"
}

// like matches as ArnLike does: * stands for any run of characters, ? for one.
// On a mismatch it goes back to the last star only, so it takes at most
// len(pattern)·len(text) steps.
func like(pattern, text string) bool {
	p, star, resume := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

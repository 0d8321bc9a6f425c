package function

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// reload takes a function's stored permissions into force. The caller holds
// changing, so that a function's permissions go with it.
func (c *Catalog) reload(name string) error {
	old := c.entry(name)
	if old == nil {
		return nil
	}
	e := *old
	var err error
	if e.allowed, err = c.cfg.Permissions.Permissions(name); err != nil {
		return fmt.Errorf("permissions of %s: %w", name, err)
	}
	c.put(name, &e)
	return nil
}

// PutPermission adds a statement to a function's resource policy; it is in force
// when the call returns. The error wraps [iot.ErrNotFound] or [iot.ErrExists].
func (c *Catalog) PutPermission(p iot.Permission) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if !c.Exists(p.Function) {
		return notFound(p.Function)
	}
	if err := c.cfg.Permissions.PutPermission(p); err != nil {
		return err
	}
	c.cfg.Log.Info("permission added", "function", p.Function, "statement", p.StatementID, "principal", p.Principal, "source", p.SourceARN)
	return c.reload(p.Function)
}

// DeletePermission removes a statement; it is out of force when the call
// returns. The error wraps [iot.ErrNotFound].
func (c *Catalog) DeletePermission(function, statementID string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.cfg.Permissions.DeletePermission(function, statementID); err != nil {
		return err
	}
	c.cfg.Log.Info("permission removed", "function", function, "statement", statementID)
	return c.reload(function)
}

// Permissions returns the statements of a function's resource policy.
func (c *Catalog) Permissions(function string) ([]iot.Permission, error) {
	e := c.entry(function)
	if e == nil {
		return nil, notFound(function)
	}
	return e.allowed, nil
}

// AllowRule is Allow for the topic rule with this ARN.
func (c *Catalog) AllowRule(function, ruleARN string) error {
	return c.Allow(function, "iot.amazonaws.com", ruleARN)
}

// Allow decides whether a service, such as apigateway.amazonaws.com, may invoke a
// function for the source with this ARN, as AWS does. The error wraps
// [iot.ErrDenied] and names the command that grants it, or [iot.ErrNotFound].
func (c *Catalog) Allow(function, service, sourceARN string) error {
	e := c.entry(function)
	if e == nil {
		return notFound(function)
	}
	for _, p := range e.allowed {
		if p.Principal == service && coversInvoke(p.Action) &&
			(p.SourceARN == "" || iot.ARNLike(p.SourceARN, sourceARN)) &&
			(p.SourceAccount == "" || p.SourceAccount == c.cfg.Account.ID) {
			return nil
		}
	}
	label, _, _ := strings.Cut(service, ".")
	return fmt.Errorf("no permission lets %s invoke %s for %s (aws lambda add-permission --function-name %[2]s --statement-id %[4]s-invoke --action lambda:InvokeFunction --principal %[1]s --source-arn %[3]s): %[5]w",
		service, function, sourceARN, label, iot.ErrDenied)
}

func coversInvoke(action string) bool {
	return action == "lambda:InvokeFunction" || action == "lambda:*" || action == "*"
}

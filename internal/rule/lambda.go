package rule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// errNoPermission marks a failure that is the lack of a permission.
var errNoPermission = errors.New("the function may not be invoked")

// lambdaAction invokes a function with the rule's output as its event. An inline
// function is evaluated here and now; any other is recorded in the outbox.
type lambdaAction struct {
	arn      string
	function string
}

func compileLambda(e *Engine, _ *iotsql.Statement, config json.RawMessage) (action, error) {
	var c struct {
		FunctionARN string `json:"functionArn"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	resource, err := e.cfg.Account.Resource("lambda", c.FunctionARN)
	if err != nil {
		return nil, fmt.Errorf("functionArn: %w: %w", err, iot.ErrInvalid)
	}
	kind, name, _ := strings.Cut(resource, ":")
	name, _, _ = strings.Cut(name, ":") // a version or alias
	if kind != "function" || name == "" {
		return nil, fmt.Errorf("functionArn %q names no function: %w", c.FunctionARN, iot.ErrInvalid)
	}
	return &lambdaAction{arn: c.FunctionARN, function: name}, nil
}

func (a *lambdaAction) name() string   { return "LambdaAction" }
func (a *lambdaAction) target() string { return a.arn }

func (a *lambdaAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	functions := r.engine.cfg.Functions
	if err := functions.AllowRule(a.function, r.rule.arn); err != nil {
		if errors.Is(err, iot.ErrDenied) {
			err = fmt.Errorf("%w: %w", errNoPermission, err)
		}
		return dst, err
	}
	if functions.Inline(a.function) {
		return functions.Evaluate(a.function, dst, r.output, r.message.Origin)
	}
	if !json.Valid(r.output) {
		return dst, fmt.Errorf("the rule's output is not JSON, which %s needs (encode(*, 'base64') makes it so): %w", a.function, iot.ErrInvalid)
	}
	from := r.message.Origin
	later := iot.AsyncInvocation{
		Function: a.function, Rule: r.rule.rule.Name, Topic: r.message.Topic, ClientID: from.ClientID, Event: r.output,
	}
	entry, err := later.Enqueue(cmp.Or(from.ClientID, from.Device, from.Principal, r.message.Topic))
	if err != nil {
		return dst, err
	}
	return append(dst, entry), nil
}

package rule

import (
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
	function string           // "" when the ARN is a template
	template *iotsql.Template // of the ARN; nil when it is none
}

func compileLambda(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		FunctionARN string `json:"functionArn"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	a := &lambdaAction{arn: c.FunctionARN}
	var err error
	if strings.Contains(c.FunctionARN, "${") {
		a.template, err = b.template("functionArn", c.FunctionARN)
	} else {
		a.function, err = b.engine.functionOf(c.FunctionARN)
	}
	return a, err
}

// functionOf returns the name of the function that an ARN is of.
func (e *Engine) functionOf(arn string) (string, error) {
	resource, err := e.cfg.Account.Resource("lambda", arn)
	if err != nil {
		return "", fmt.Errorf("functionArn: %w: %w", err, iot.ErrInvalid)
	}
	kind, name, _ := strings.Cut(resource, ":")
	name, _, _ = strings.Cut(name, ":") // a version or alias
	if kind != "function" || name == "" {
		return "", fmt.Errorf("functionArn %q names no function: %w", arn, iot.ErrInvalid)
	}
	return name, nil
}

func (a *lambdaAction) name() string   { return "LambdaAction" }
func (a *lambdaAction) target() string { return a.arn }

func (a *lambdaAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	function := a.function
	if a.template != nil {
		arn, err := r.expand("functionArn", a.template)
		if err == nil {
			function, err = r.engine.functionOf(arn)
		}
		if err != nil {
			return dst, err
		}
	}
	functions := r.engine.cfg.Functions
	if err := functions.AllowRule(function, r.rule.arn); err != nil {
		if errors.Is(err, iot.ErrDenied) {
			err = fmt.Errorf("%w: %w", errNoPermission, err)
		}
		return dst, err
	}
	if functions.Inline(function) {
		return functions.Evaluate(function, dst, r.output, r.message.Origin)
	}
	if !json.Valid(r.output) {
		return dst, fmt.Errorf("the rule's output is not JSON, which %s needs (encode(*, 'base64') makes it so): %w", function, iot.ErrInvalid)
	}
	later := iot.AsyncInvocation{Function: function, Event: r.output}
	later.ForRule(iot.Task{
		Rule: r.rule.rule.Name, Action: a.name(), Target: a.arn, Trace: r.traceID(), Error: r.failing, Message: r.message,
	})
	entry, err := later.Enqueue(r.sender())
	if err != nil {
		return dst, err
	}
	return append(dst, entry), nil
}

package rule

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// maxActions is AWS's limit of actions in one rule.
const maxActions = 10

// compiled is a rule ready to evaluate. All but its counters is immutable.
type compiled struct {
	rule        iot.Rule
	arn         string
	statement   *iotsql.Statement
	actions     []action
	errorAction action // nil when there is none
	counters    *counters
}

// filter is the topic filter of the rule's FROM; "" when it has none.
func (c *compiled) filter() string { return c.statement.Filter() }

// action turns a rule's output into effects. Its error is the action's failure,
// which goes to the rule's error action.
type action interface {
	apply(dst []iot.Effect, run *run) ([]iot.Effect, error)
	// name is the action as error actions report it, and target what it acts on.
	name() string
	target() string
}

// compileAction builds one kind of action of a rule with this statement from its
// JSON configuration.
type compileAction func(e *Engine, s *iotsql.Statement, config json.RawMessage) (action, error)

// actions lists the kinds of action.
func actions() map[string]compileAction {
	return map[string]compileAction{
		"lambda":    compileLambda,
		"republish": compileRepublish,
	}
}

func (e *Engine) compile(r iot.Rule) (*compiled, error) {
	if r.SQLVersion == "" {
		r.SQLVersion = "2015-10-08"
	}
	if len(r.Actions) > maxActions {
		return nil, fmt.Errorf("%d actions, at most %d are allowed: %w", len(r.Actions), maxActions, iot.ErrInvalid)
	}
	c := &compiled{rule: r, arn: e.cfg.Account.ARN("iot", "rule/"+r.Name), counters: newCounters()}
	var err error
	if c.statement, err = iotsql.Parse(r.SQL, r.SQLVersion); err != nil {
		return nil, err
	}
	if err := checkFrom(c.filter()); err != nil {
		return nil, err
	}
	for _, a := range r.Actions {
		built, err := e.compileAction(c.statement, a)
		if err != nil {
			return nil, err
		}
		c.actions = append(c.actions, built)
	}
	if r.ErrorAction != nil {
		if c.errorAction, err = e.compileAction(c.statement, *r.ErrorAction); err != nil {
			return nil, fmt.Errorf("error action: %w", err)
		}
	}
	return c, nil
}

// checkFrom refuses a filter that no topic can match. Without one a rule is
// reached by Basic Ingest only.
func checkFrom(filter string) error {
	if filter == "" {
		return nil
	}
	if err := topic.ValidFilter(filter); err != nil {
		return fmt.Errorf("FROM '%s': %w: %w", filter, err, iot.ErrInvalid)
	}
	return nil
}

func (e *Engine) compileAction(s *iotsql.Statement, a iot.Action) (action, error) {
	compile := actions()[a.Kind]
	if compile == nil {
		return nil, fmt.Errorf("action %q (lambda and republish are): %w", a.Kind, iot.ErrUnsupported)
	}
	built, err := compile(e, s, a.Config)
	if err != nil {
		return nil, fmt.Errorf("%s action: %w", a.Kind, err)
	}
	return built, nil
}

// decodeConfig reads an action's configuration, refusing members it has not.
func decodeConfig(config json.RawMessage, into any) error {
	d := json.NewDecoder(strings.NewReader(string(config)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", err, iot.ErrInvalid)
	}
	return nil
}

package rule

import (
	"encoding/json"
	"fmt"
	"slices"
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
	// callsOut says that the statement or a template of an action calls out of the
	// process: the rule is recorded, and evaluated from the outbox.
	callsOut bool
	counters *counters
	// broken is why a stored rule did not compile; it has no statement and no actions,
	// and messages do not meet it.
	broken error
}

// filter is the topic filter of the rule's FROM; "" when it has none.
func (c *compiled) filter() string {
	if c.broken != nil {
		return ""
	}
	return c.statement.Filter()
}

// meets reports whether the rule is to be evaluated on a message.
func (c *compiled) meets(m *iot.Message) bool {
	if m.Rule != "" {
		return m.Rule == c.rule.Name
	}
	return c.filter() != "" && topic.MatchRule(c.filter(), m.Topic)
}

// action turns a rule's output into effects. Its error is the action's failure,
// which goes to the rule's error action.
type action interface {
	apply(dst []iot.Effect, run *run) ([]iot.Effect, error)
	// name is the action as error actions report it, and target what it acts on.
	name() string
	target() string
}

// actions lists the kinds of action.
func actions() map[string]func(b *builder, config json.RawMessage) (action, error) {
	return map[string]func(*builder, json.RawMessage) (action, error){
		"lambda":         compileLambda,
		"republish":      compileRepublish,
		"dynamoDB":       compileDynamoDB,
		"dynamoDBv2":     compileDynamoDBv2,
		"sqs":            compileSQS,
		"kinesis":        compileKinesis,
		"http":           compileHTTP,
		"cloudwatchLogs": compileLogs,
	}
}

// refused lists AWS's other kinds of action.
func refused() []string {
	return []string{
		"cloudwatchAlarm", "cloudwatchMetric", "elasticsearch", "firehose", "influxDB", "iotAnalytics", "iotEvents", "iotSiteWise",
		"kafka", "location", "openSearch", "s3", "salesforce", "sns", "stepFunctions", "timestream",
	}
}

// builder is what one action of a rule is compiled with.
type builder struct {
	engine    *Engine
	rule      string
	statement *iotsql.Statement
	number    int  // of the action in its rule; the error action's comes after them
	onError   bool // it is the error action
	callsOut  bool // a template that was compiled calls out
}

// template reads a field with substitution templates.
func (b *builder) template(field, text string) (*iotsql.Template, error) {
	parse := b.statement.Template
	if b.onError {
		parse = b.statement.ErrorTemplate
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	b.callsOut = b.callsOut || t.CallsOut()
	return t, nil
}

// needed is template for a field that may not be empty.
func (b *builder) needed(field, text string) (*iotsql.Template, error) {
	if text == "" {
		return nil, fmt.Errorf("%s is missing: %w", field, iot.ErrInvalid)
	}
	return b.template(field, text)
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
	c.callsOut = c.statement.CallsOut()
	for i, a := range r.Actions {
		built, err := c.build(e, a, i, false)
		if err != nil {
			return nil, err
		}
		c.actions = append(c.actions, built)
	}
	if r.ErrorAction != nil {
		if c.errorAction, err = c.build(e, *r.ErrorAction, len(r.Actions), true); err != nil {
			return nil, fmt.Errorf("error action: %w", err)
		}
	}
	return c, nil
}

// check refuses what runs but can never do anything. Rules that are stored are not
// checked again: they stay in force.
func (c *compiled) check() error {
	for _, a := range append(slices.Clone(c.actions), c.errorAction) {
		if republish, ok := a.(*republishAction); ok {
			if err := republish.check(); err != nil {
				return err
			}
		}
	}
	return nil
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

// build compiles an action. One that this server has not is refused by name.
func (c *compiled) build(e *Engine, a iot.Action, number int, onError bool) (action, error) {
	compile := actions()[a.Kind]
	if compile == nil {
		if slices.Contains(refused(), a.Kind) {
			return nil, fmt.Errorf("action %q (supported are cloudwatchLogs, dynamoDB, dynamoDBv2, http, kinesis, lambda, republish and sqs): %w", a.Kind, iot.ErrUnsupported)
		}
		return nil, fmt.Errorf("%q is no action of a rule: %w", a.Kind, iot.ErrInvalid)
	}
	b := &builder{engine: e, rule: c.rule.Name, statement: c.statement, number: number, onError: onError}
	built, err := compile(b, a.Config)
	if err != nil {
		return nil, fmt.Errorf("%s action: %w", a.Kind, err)
	}
	c.callsOut = c.callsOut || b.callsOut
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

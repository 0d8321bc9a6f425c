package rule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// external is what the actions have in common that are performed from the outbox:
// their templates are expanded at once, and the request is recorded.
type external struct {
	kind     string // of the outbox action
	action   string // as error actions name it
	resource string // what it acts on, as the rule has it
	number   int    // of the action in its rule
	onError  bool
}

func (b *builder) external(kind, action, resource string) external {
	return external{kind: kind, action: action, resource: resource, number: b.number, onError: b.onError}
}

func (x *external) name() string   { return x.action }
func (x *external) target() string { return x.resource }

// record appends the effect that has a request performed. What is recorded under
// one key keeps its order.
func (x *external) record(dst []iot.Effect, r *run, key string, request any) ([]iot.Effect, error) {
	task := iot.Task{
		Rule: r.rule.rule.Name, Action: x.action, Target: x.resource, Trace: r.traceID(), Error: x.onError, Message: r.message,
	}
	entry, err := task.Enqueue(x.kind, x.number, key, request)
	if err != nil {
		return dst, err
	}
	return append(dst, entry), nil
}

// sender is whose order actions keep that have no key of their own.
func (r *run) sender() string {
	from := &r.message.Origin
	return cmp.Or(from.ClientID, from.Device, from.Principal, r.message.Topic)
}

// maxExpanded is how many bytes a template of an action may give. No name, key, URL
// or header is as long; an outbox entry's key is what a template gives.
const maxExpanded = 8 << 10

// expand returns what a template gives, which may not be empty.
func (r *run) expand(field string, t *iotsql.Template) (string, error) {
	text, err := r.expandAny(field, t)
	if err == nil && text == "" {
		return "", fmt.Errorf("%s: the template gives an empty text: %w", field, iot.ErrInvalid)
	}
	return text, err
}

// expandAny is expand for what may be empty.
func (r *run) expandAny(field string, t *iotsql.Template) (string, error) {
	text, err := t.Expand(&r.env)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", field, err)
	case len(text) > maxExpanded:
		return "", fmt.Errorf("%s: the template gives %d bytes, at most %d are allowed: %w", field, len(text), maxExpanded, iot.ErrLimit)
	case !utf8.ValidString(text):
		return "", fmt.Errorf("%s: the template gives a text that is not UTF-8: %w", field, iot.ErrInvalid)
	}
	return text, nil
}

// checkOrigin refuses a URL whose template decides to which host it leads: what
// devices send must not choose who gets requests in this server's name.
func checkOrigin(field, text string) error {
	static, _, dynamic := strings.Cut(text, "${")
	_, host, _ := strings.Cut(static, "://")
	if dynamic && !strings.Contains(host, "/") {
		return fmt.Errorf("%s %q: its scheme and host must be written out, a template may stand behind them only (https://HOST/${…}): %w", field, text, iot.ErrInvalid)
	}
	return nil
}

// outputText is the output for targets that take text only.
func (r *run) outputText(action string) (string, error) {
	if !utf8.Valid(r.output) {
		return "", fmt.Errorf("the rule's output is not UTF-8, which %s takes only (encode(*, 'base64') makes it so): %w", action, iot.ErrInvalid)
	}
	return string(r.output), nil
}

// checkRole refuses what is no ARN of a role. Roles are stored and shown.
func checkRole(arn string) error {
	if arn == "" {
		return fmt.Errorf("roleArn is missing: %w", iot.ErrInvalid)
	}
	parts := strings.SplitN(arn, ":", 6) // arn, partition, service, no region, account, resource
	if len(parts) < 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return fmt.Errorf("roleArn %q is not arn:aws:iam::ACCOUNT:role/NAME: %w", arn, iot.ErrInvalid)
	}
	return nil
}

// later records the whole rule, which calls out, to be evaluated from the outbox,
// unless it can be told now that it does not fire.
func (r *run) later(dst []iot.Effect) []iot.Effect {
	c := r.rule
	may, err := c.statement.MayFire(&r.env)
	if r.tracing && !may { // it ends here: why is to be seen
		_, err = r.statement()
	}
	if err != nil {
		return r.fail(dst, []failure{statementFailure(c, err)})
	}
	r.note(func(t *iot.RuleTrace) { t.Later = may })
	if !may {
		return dst
	}
	entry, err := r.wholeRule()
	if err != nil {
		return r.fail(dst, []failure{statementFailure(c, err)})
	}
	return append(dst, entry)
}

// wholeRule is the effect that has the rule evaluated from the outbox.
func (r *run) wholeRule() (*iot.Enqueue, error) {
	rule := &r.rule.rule
	task := iot.Task{Rule: rule.Name, Action: statementAction, Target: rule.SQL, Trace: r.traceID(), Message: r.message}
	return task.Enqueue(iot.RuleOutbox, 0, r.sender(), nil)
}

// Perform evaluates a rule that calls out on the message of an outbox entry of
// [iot.RuleOutbox], and applies its effects. What fails then goes the way of every
// failure of a rule: only effects that could not be applied are an error.
func (e *Engine) Perform(ctx context.Context, entry iot.OutboxEntry) error {
	task, err := iot.ParseTask(entry.Body)
	if err != nil {
		return err
	}
	c := e.current.named(task.Rule)
	if c == nil {
		return fmt.Errorf("rule %q, which the message waited for, was deleted: %w", task.Rule, iot.ErrNotFound)
	}
	r := e.begin(task.Message)
	defer e.end(r)
	r.trace, r.outside = task.Trace, true
	if !c.meets(task.Message) {
		r.rule = c
		r.skipped("its FROM was changed while the message waited in the outbox, and does not match it any more")
		return nil
	}
	if e.cfg.Call != nil {
		r.env.Call = func(call iotsql.Call) (json.RawMessage, error) {
			return e.cfg.Call(ctx, c.arn, task.Message.Origin, call)
		}
	}
	r.watch()
	effects := r.evaluate(nil, c)
	r.publish()
	if len(effects) == 0 {
		return nil
	}
	return e.cfg.Apply(ctx, effects...)
}

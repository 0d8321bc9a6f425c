package rule

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// republishAction publishes the rule's output on another topic.
type republishAction struct {
	text     string
	topic    *iotsql.Template
	reserved bool // text names a topic below $, which it writes $$
	qos      byte
	max      int      // bytes of a payload; 0 is without bound
	headers  *headers // nil: no MQTT 5 properties
}

func compileRepublish(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		Topic   string         `json:"topic"`
		QoS     json.Number    `json:"qos"`
		RoleARN string         `json:"roleArn"`
		Headers *headersConfig `json:"headers"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	if c.Topic == "" {
		return nil, fmt.Errorf("topic is missing: %w", iot.ErrInvalid)
	}
	reserved := strings.HasPrefix(c.Topic, "$$") && !strings.HasPrefix(c.Topic, "$${")
	if strings.HasPrefix(c.Topic, "$") && !reserved && !strings.HasPrefix(c.Topic, "${") {
		return nil, fmt.Errorf("topic %q: a reserved topic is written with $$: %w", c.Topic, iot.ErrInvalid)
	}
	a := &republishAction{text: c.Topic, reserved: reserved, max: b.engine.cfg.MaxPayload}
	switch c.QoS {
	case "", "0":
	case "1":
		a.qos = 1
	default:
		return nil, fmt.Errorf("qos is 0 or 1, not %s: %w", c.QoS, iot.ErrInvalid)
	}
	var err error
	if a.topic, err = b.template("topic", c.Topic); err != nil {
		return nil, err
	}
	if c.Headers != nil {
		if a.headers, err = b.headers(c.Headers); err != nil {
			return nil, fmt.Errorf("headers: %w", err)
		}
	}
	return a, nil
}

// check refuses a topic that no message can mend.
func (a *republishAction) check() error {
	if strings.Contains(a.text, "${") {
		return nil
	}
	if err := topic.ValidName(a.text); err != nil {
		return fmt.Errorf("republish action: topic %q: %w: %w", a.text, err, iot.ErrInvalid)
	}
	return nil
}

func (a *republishAction) name() string   { return "RepublishAction" }
func (a *republishAction) target() string { return a.text }

func (a *republishAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	name, err := a.topicName(r)
	if err != nil {
		return dst, err
	}
	if a.max > 0 && len(r.output) > a.max {
		return dst, fmt.Errorf("the rule's output has %d bytes, a message has at most %d: %w", len(r.output), a.max, iot.ErrLimit)
	}
	origin := r.message.Origin
	origin.Hops++
	if origin.Hops > MaxHops {
		return dst, fmt.Errorf("the message has been republished %d times, which looks like a loop: %w", MaxHops, iot.ErrLimit)
	}
	m := &iot.Message{Payload: r.output, QoS: a.qos, Origin: origin}
	m.Rule, m.Topic = iot.BasicIngest(name)
	if a.headers != nil {
		if m.Properties, err = a.headers.expand(r); err != nil {
			return dst, fmt.Errorf("headers: %w", err)
		}
	}
	return append(dst, &iot.Republish{Message: m}), nil
}

// topicName is the topic to publish to.
func (a *republishAction) topicName(r *run) (string, error) {
	name, err := a.topic.Expand(&r.env)
	if err != nil {
		return "", fmt.Errorf("topic %s: %w", a.text, err)
	}
	switch {
	case a.reserved:
		name = name[1:]
	case strings.HasPrefix(name, "$"):
		// What a device sends must not lead there: it may not publish there itself.
		return "", fmt.Errorf("topic %s gives %s, which is reserved (only a topic that begins with $$ may be): %w", a.text, strconv.Quote(name), iot.ErrDenied)
	}
	if err := topic.ValidName(name); err != nil {
		return "", fmt.Errorf("topic %s gives %s: %w", a.text, strconv.Quote(name), err)
	}
	return name, nil
}

package awsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Retained knows the retained messages.
type Retained interface {
	// RetainedMessage returns the retained message of a topic, whose Origin.Arrived
	// is when it came, or an error wrapping [iot.ErrNotFound].
	RetainedMessage(topic string) (*iot.Message, error)
	// RetainedTopics returns at most limit summaries in the order of their topics,
	// from the first one behind after.
	RetainedTopics(after string, limit int) ([]iot.RetainedSummary, error)
}

// maxRetainedPage is the largest page of ListRetainedMessages.
const maxRetainedPage = 200

// retainedTopic is one message of ListRetainedMessages.
type retainedTopic struct {
	Topic       string `json:"topic"`
	PayloadSize int    `json:"payloadSize"`
	QoS         byte   `json:"qos"`
	Modified    int64  `json:"lastModifiedTime"` // ms since the epoch
}

func (a *API) getRetainedMessage(_ context.Context, q *request) (any, error) {
	name := q.labels["topic"]
	if err := topic.ValidName(name); err != nil {
		return nil, fmt.Errorf("topic %q: %w: %w", name, err, iot.ErrInvalid)
	}
	if a.cfg.Retained == nil {
		return nil, errNoRetained()
	}
	m, err := a.cfg.Retained.RetainedMessage(name)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Topic    string `json:"topic"`
		Payload  []byte `json:"payload"`
		QoS      byte   `json:"qos"`
		Modified int64  `json:"lastModifiedTime"`
		User     string `json:"userProperties,omitempty"`
	}{m.Topic, m.Payload, m.QoS, milliseconds(m.Origin.Arrived), ""}
	if m.Properties != nil {
		answer.User = mqtt.HTTPUserProperties(m.Properties.User)
	}
	return answer, nil
}

func (a *API) listRetainedMessages(_ context.Context, q *request) (any, error) {
	page, err := q.tokenPage(maxRetainedPage)
	if err != nil {
		return nil, err
	}
	if a.cfg.Retained == nil {
		return nil, errNoRetained()
	}
	list, err := a.cfg.Retained.RetainedTopics(page.after, page.size+1)
	if err != nil {
		return nil, err
	}
	list, next := take(page, list, func(s *iot.RetainedSummary) string { return s.Topic })
	return struct {
		Topics    []retainedTopic `json:"retainedTopics"`
		NextToken string          `json:"nextToken,omitempty"`
	}{each(list, func(s *iot.RetainedSummary) retainedTopic {
		return retainedTopic{s.Topic, s.PayloadSize, s.QoS, milliseconds(s.Modified)}
	}), next}, nil
}

// deleteConnection ends the connection of a client: what AWS IoT calls
// DeleteConnection, with the session and the will as the caller wants them.
func (a *API) deleteConnection(_ context.Context, q *request) (any, error) {
	id := q.labels["clientId"]
	if id == "" || id[0] == '$' {
		return nil, unmet("clientId", id, "satisfy regular expression pattern: ^[^$].*")
	}
	cleanSession, err := q.boolean("cleanSession")
	if err != nil {
		return nil, err
	}
	preventWill, err := q.boolean("preventWillMessage")
	if err != nil {
		return nil, err
	}
	if a.cfg.Disconnect == nil {
		return nil, fmt.Errorf("this server takes no MQTT connections: DeleteConnection is %w", iot.ErrUnsupported)
	}
	if !a.cfg.Disconnect(id, cleanSession, preventWill) {
		return nil, fmt.Errorf("connection of client %q: %w", id, iot.ErrNotFound)
	}
	return nil, nil
}

func errNoRetained() error {
	return fmt.Errorf("this server keeps no retained messages: they are %w", iot.ErrUnsupported)
}

// milliseconds is a time as iot-data writes it; 0 when it is not known.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

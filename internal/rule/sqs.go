package rule

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// sqsAction sends the rule's output to a queue.
type sqsAction struct {
	external
	queue  *iotsql.Template
	base64 bool
}

func compileSQS(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		QueueURL  string `json:"queueUrl"`
		RoleARN   string `json:"roleArn"`
		UseBase64 bool   `json:"useBase64"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	queue, err := b.needed("queueUrl", c.QueueURL)
	if err != nil {
		return nil, err
	}
	if err := checkOrigin("queueUrl", c.QueueURL); err != nil {
		return nil, err
	}
	static, _, _ := strings.Cut(c.QueueURL, "${")
	if err := checkQueue(static); err != nil {
		return nil, err
	}
	if err := checkRole(c.RoleARN); err != nil {
		return nil, err
	}
	return &sqsAction{b.external(iot.SQSOutbox, "SqsAction", c.QueueURL), queue, c.UseBase64}, nil
}

func checkQueue(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("queueUrl %q is no URL of a queue: %w", text, iot.ErrInvalid)
	}
	if strings.HasSuffix(u.Path, ".fifo") {
		return fmt.Errorf("queueUrl %q: a FIFO queue as a rule's target: %w", text, iot.ErrUnsupported)
	}
	return nil
}

func (a *sqsAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	queue, err := r.expand("queueUrl", a.queue)
	if err == nil {
		err = checkQueue(queue)
	}
	if err != nil {
		return dst, err
	}
	body := base64.StdEncoding.EncodeToString(r.output)
	if !a.base64 {
		if body, err = r.outputText("a queue"); err != nil {
			return dst, fmt.Errorf("%w (or set useBase64)", err)
		}
	}
	return a.record(dst, r, r.sender(), iot.SendMessage{QueueURL: queue, Body: body})
}

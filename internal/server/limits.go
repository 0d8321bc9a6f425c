package server

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/broker"
)

// maxPayload is the largest bound on payloads that may be asked for, in bytes: that
// of a request to the control API, which publishes too.
const maxPayload = 1 << 20

// outboxPayloads is how many times the largest payload an outbox must hold: an entry
// has the message, and what its action makes of it, in an encoding of its own.
const outboxPayloads = 4

// limits are the broker's limits without zero fields.
func (c *Config) limits() broker.Limits { return c.Limits.OrDefaults(c.AWSStrict) }

// validateLimits checks the limits of the broker, and that they suit each other.
func (c *Config) validateLimits() error {
	l := c.limits()
	if err := l.Validate(); err != nil {
		return fmt.Errorf("the broker's limits (docs/broker.md has their flags): %w", err)
	}
	message := l.Payload + l.Topic
	switch {
	case l.Payload > maxPayload:
		return fmt.Errorf("--max-payload is %d bytes, at most %d are possible", l.Payload, maxPayload)
	case l.QueueBytes < message:
		return fmt.Errorf("--queue-bytes is %d, less than one message may have (--max-payload and --max-topic, %d bytes together)", l.QueueBytes, message)
	case l.SessionBytes < int64(message):
		return fmt.Errorf("--session-bytes is %d, less than one message may have (--max-payload and --max-topic, %d bytes together)", l.SessionBytes, message)
	case l.QueuedBytes < int64(l.QueueBytes):
		return fmt.Errorf("--memory-limit is %d bytes, less than one connection may queue (--queue-bytes, %d)", l.QueuedBytes, l.QueueBytes)
	case c.OutboxLimit < 0 || c.OutboxLimit > 0 && c.OutboxLimit < outboxPayloads*int64(l.Payload):
		return fmt.Errorf("--outbox-max-bytes is %d, less than one message may need (%d times --max-payload, %d bytes)", c.OutboxLimit, outboxPayloads, outboxPayloads*int64(l.Payload))
	}
	return nil
}

package server

import (
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
)

func TestLimitsSuitEachOther(t *testing.T) {
	tests := []struct {
		name   string
		strict bool
		limits broker.Limits
		says   string // "" when they are good
	}{
		{"the defaults", false, broker.Limits{}, ""},
		{"AWS's", true, broker.Limits{}, ""},
		{"AWS's but for one", true, broker.Limits{Payload: 1 << 20}, ""},
		{"a negative one", false, broker.Limits{Filters: -1}, "Filters"},
		{"a keep-alive above AWS's", true, broker.Limits{KeepAliveMin: 1300}, "KeepAliveMin is 1300, above KeepAliveMax with 1200"},
		{"a payload that the control API cannot take", false, broker.Limits{Payload: 1<<20 + 1}, "--max-payload"},
		{"a queue for less than a message", false, broker.Limits{QueueBytes: 100_000}, "--queue-bytes"},
		{"a session for less than a message", false, broker.Limits{SessionBytes: 100_000}, "--session-bytes"},
		{"less memory than one queue", false, broker.Limits{QueuedBytes: 1 << 20}, "--memory-limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			c.AWSStrict, c.Limits = tt.strict, tt.limits
			err := c.Validate()
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func TestOutboxHoldsAMessageAtLeast(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int64
		good  bool
	}{
		{"the default", 0, true},
		{"room for a message", 4 * (128 << 10), true},
		{"less than a message may need", 4*(128<<10) - 1, false},
		{"a negative one", -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			c.OutboxLimit = tt.limit
			if err := c.Validate(); (err == nil) != tt.good || err != nil && !strings.Contains(err.Error(), "--outbox-max-bytes") {
				t.Errorf("%v", err)
			}
		})
	}
}

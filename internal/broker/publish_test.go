package broker

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// holdingIngester keeps what is submitted until a test decides about it.
type holdingIngester struct {
	mu       sync.Mutex
	messages []*iot.Message
	lanes    []*iot.Lane
	receipts []func(error)
	came     chan struct{}
}

func (h *holdingIngester) Submit(s iot.Submission) {
	if lifecycle(s) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, s.Message)
	h.lanes = append(h.lanes, s.Lane)
	h.receipts = append(h.receipts, func(err error) { s.Receipt.Committed(s.Slot, err) })
	if h.came != nil {
		close(h.came)
		h.came = nil
	}
}

// wait returns when n messages have come.
func (h *holdingIngester) wait(t testing.TB, n int) {
	t.Helper()
	for {
		h.mu.Lock()
		got := len(h.messages)
		if h.came == nil {
			h.came = make(chan struct{})
		}
		came := h.came
		h.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-came:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d messages were submitted, want %d", got, n)
		}
	}
}

func TestAcksLeaveInTheOrderOfPublishes(t *testing.T) {
	var held holdingIngester
	h := start(t, func(cfg *Config) { cfg.Ingester = &held })
	h.policy.deny(policy.Publish, "forbidden")
	c := h.connect(mqtt.V5, "a")
	for id := range uint16(5) {
		topic := "t"
		if id == 1 {
			topic = "forbidden"
		}
		c.publish(topic, 100+id, "x")
	}
	held.wait(t, 4)
	c.ping() // later packets go on; nothing is acknowledged yet, the denial neither

	held.receipts[3](nil)
	held.receipts[1](nil)
	c.ping()
	held.receipts[0](nil)
	c.expectAck(100, mqtt.Success)
	c.expectAck(101, mqtt.NotAuthorized)
	c.expectAck(102, mqtt.Success)
	c.ping()
	held.receipts[2](iot.ErrOutboxFull)
	c.expectAck(103, mqtt.QuotaExceeded)
	c.expectAck(104, mqtt.Success)
}

func TestFailedCommit(t *testing.T) {
	t.Run("3.1.1 ends without PUBACK, behind the ones before", func(t *testing.T) {
		var held holdingIngester
		c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V311, "a")
		for id := range uint16(3) {
			c.publish("t", id+1, "x")
		}
		held.wait(t, 3)
		held.receipts[0](nil)
		held.receipts[1](iot.ErrNoSpace)
		held.receipts[2](nil)
		c.expectAck(1, mqtt.Success)
		c.expectClosed()
	})
	t.Run("5.0 is told the reason", func(t *testing.T) {
		var held holdingIngester
		c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V5, "a")
		c.publish("t", 1, "x")
		held.wait(t, 1)
		held.receipts[0](errors.New("the disk is on fire"))
		if ack := c.expectAck(1, mqtt.UnspecifiedError); ack.ReasonString != "the disk is on fire" {
			t.Errorf("reason %q", ack.ReasonString)
		}
		c.ping()
	})
	t.Run("5.0 is told of a limit that is reached", func(t *testing.T) {
		var held holdingIngester
		c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V5, "a")
		for id, err := range []error{iot.ErrNoSpace, iot.ErrOutboxFull, fmt.Errorf("retained messages: %w", iot.ErrLimit)} {
			c.publish("t", uint16(id+1), "x")
			held.wait(t, id+1)
			held.receipts[id](err)
			c.expectAck(uint16(id+1), mqtt.QuotaExceeded)
		}
	})
	t.Run("5.0 retransmits what a stopping server did not take", func(t *testing.T) {
		var held holdingIngester
		c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V5, "a")
		c.publish("t", 1, "x")
		held.wait(t, 1)
		held.receipts[0](iot.ErrClosed)
		c.expectEnd(mqtt.ServerShuttingDown)
	})
}

func TestDeniedPublish(t *testing.T) {
	for _, topic := range []string{"forbidden", "$aws/things/T/shadow/update", "$SYS/x"} {
		t.Run("5.0 stays connected: "+topic, func(t *testing.T) {
			h := start(t, func(cfg *Config) { cfg.Ingester = noIngester(t) })
			h.policy.deny(policy.Publish, "forbidden")
			c := h.connect(mqtt.V5, "a")
			c.publish(topic, 0, "x")
			c.publish(topic, 7, "x")
			if ack := c.expectAck(7, mqtt.NotAuthorized); ack.ReasonString == "" {
				t.Error("PUBACK has no reason string")
			}
			c.ping()
		})
		t.Run("3.1.1 is disconnected: "+topic, func(t *testing.T) {
			h := start(t, func(cfg *Config) { cfg.Ingester = noIngester(t) })
			h.policy.deny(policy.Publish, "forbidden")
			c := h.connect(mqtt.V311, "a")
			c.publish(topic, 7, "x")
			c.expectClosed()
			h.stop()
			if log := h.log.String(); !strings.Contains(log, "msg=denied") || !strings.Contains(log, topic) {
				t.Errorf("the log does not tell of the denial:\n%s", log)
			}
		})
	}
}

func TestDenialsDoNotFloodTheLog(t *testing.T) {
	h := start(t, nil)
	h.policy.deny(policy.Publish, "forbidden")
	c := h.connect(mqtt.V5, "a")
	for range 1000 {
		c.publish("forbidden", 0, "x")
	}
	c.ping()
	if n := strings.Count(h.log.String(), "msg=denied"); n < 1 || n > 20 {
		t.Errorf("1,000 denials made %d log lines, want a few", n)
	}
}

func noIngester(t *testing.T) Ingester {
	return ingesterFunc(func(m *iot.Message, _ *iot.Lane, _ iot.Receipt, _ uint64) {
		t.Errorf("a message to %q was submitted", m.Topic)
	})
}

func TestPolicyInForceCounts(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V5, "a")
	c.publish("t", 1, "x")
	c.expectAck(1, mqtt.Success)
	h.policy.deny(policy.Publish, "t")
	c.publish("t", 2, "x")
	c.expectAck(2, mqtt.NotAuthorized)
}

func TestTopicAlias(t *testing.T) {
	alias := func(c *client, topic string, alias, id uint16) {
		c.write(mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte(topic), TopicAlias: alias, QoS: 1, PacketID: id}))
	}
	t.Run("stands for its topic", func(t *testing.T) {
		var held holdingIngester
		c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V5, "a")
		alias(c, "one", 8, 1)
		alias(c, "", 8, 2)
		alias(c, "two", 8, 3)
		alias(c, "", 8, 4)
		held.wait(t, 4)
		for i, want := range []string{"one", "one", "two", "two"} {
			if got := held.messages[i].Topic; got != want {
				t.Errorf("message %d has topic %q, want %q", i, got, want)
			}
		}
	})
	t.Run("is refused once the policy has been narrowed", func(t *testing.T) {
		h := start(t, nil)
		c := h.connect(mqtt.V5, "a")
		alias(c, "t", 1, 1)
		c.expectAck(1, mqtt.Success)
		h.policy.deny(policy.Publish, "t")
		alias(c, "", 1, 2)
		c.expectAck(2, mqtt.NotAuthorized)
	})
	t.Run("bound in a denied publish gives no way in", func(t *testing.T) {
		h := start(t, func(cfg *Config) { cfg.Ingester = noIngester(t) })
		h.policy.deny(policy.Publish, "t")
		c := h.connect(mqtt.V5, "a")
		alias(c, "t", 1, 1)
		alias(c, "", 1, 2)
		c.expectAck(1, mqtt.NotAuthorized)
		c.expectAck(2, mqtt.NotAuthorized)
	})
	t.Run("without a topic is a protocol error", func(t *testing.T) {
		c := start(t, nil).connect(mqtt.V5, "a")
		alias(c, "", 3, 1)
		c.expectEnd(mqtt.ProtocolError)
	})
	t.Run("above the maximum is invalid", func(t *testing.T) {
		c := start(t, nil).connect(mqtt.V5, "a")
		alias(c, "t", 9, 1)
		c.expectEnd(mqtt.TopicAliasInvalid)
	})
	t.Run("ends with the connection", func(t *testing.T) {
		h := start(t, nil)
		c := h.connect(mqtt.V5, "a")
		alias(c, "t", 1, 1)
		c.expectAck(1, mqtt.Success)
		c = h.connect(mqtt.V5, "b")
		alias(c, "", 1, 1)
		c.expectEnd(mqtt.ProtocolError)
	})
}

func TestPublishThatIsTooLarge(t *testing.T) {
	tests := []struct {
		name    string
		publish mqtt.Publish
		want    mqtt.ReasonCode
	}{
		{"a payload that is too large", mqtt.Publish{Payload: make([]byte, 128<<10+1)}, mqtt.PacketTooLarge},
		{"a packet that is too large", mqtt.Publish{Payload: make([]byte, 1<<20)}, mqtt.PacketTooLarge},
	}
	h := start(t, func(cfg *Config) { cfg.Ingester = noIngester(t) })
	for _, tt := range tests {
		for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
			t.Run(fmt.Sprintf("%s in %s", tt.name, v), func(t *testing.T) {
				c := h.connect(v, "a")
				tt.publish.Topic = []byte("t")
				go c.nc.Write(mqtt.AppendPublish(nil, v, &tt.publish)) // not read to its end
				c.expectEnd(tt.want)
			})
		}
	}
}

func TestLargestPayloadIsTaken(t *testing.T) {
	var held holdingIngester
	c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V311, "a")
	payload := bytes.Repeat([]byte{7}, 128<<10)
	c.write(mqtt.AppendPublish(nil, c.version, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 1, Payload: payload}))
	held.wait(t, 1)
	if !bytes.Equal(held.messages[0].Payload, payload) {
		t.Error("the payload did not arrive whole")
	}
}

func TestInFlightLimitHoldsBackTheReader(t *testing.T) {
	var held holdingIngester
	h := start(t, func(cfg *Config) {
		cfg.Ingester = &held
		cfg.Limits.InFlight = 2
	})
	c := h.connect(mqtt.V311, "a")
	for id := range uint16(3) {
		c.publish("t", id+1, "x")
	}
	held.wait(t, 2)
	// The third publish has been read and waits for a slot: nothing more is read,
	// which a pipe shows by not taking it.
	c.nc.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.nc.Write(mqtt.AppendPingreq(nil)); err == nil {
		t.Error("the broker reads on beyond its limit")
	}
	c.nc.SetWriteDeadline(time.Time{})
	held.mu.Lock()
	if n := len(held.messages); n != 2 {
		t.Errorf("%d messages were submitted, want 2", n)
	}
	held.mu.Unlock()
	held.receipts[0](nil)
	c.expectAck(1, mqtt.Success)
	held.wait(t, 3)
	c.ping()
}

func TestMessageSaysWhereItCameFrom(t *testing.T) {
	var held holdingIngester
	c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V5, "a")
	format := byte(1)
	c.write(mqtt.AppendPublish(nil, c.version, &mqtt.Publish{
		Topic: []byte("t"), QoS: 1, Dup: true, PacketID: 9, Payload: []byte("x"),
		Properties: &iot.Properties{PayloadFormat: &format, CorrelationData: []byte("c")},
	}))
	held.wait(t, 1)
	m := held.messages[0]
	if m.Topic != "t" || string(m.Payload) != "x" || m.QoS != 1 || !m.Dup || m.PacketID != 9 ||
		m.Origin.ClientID != "a" || m.Origin.Protocol != iot.ProtocolMQTT || m.Origin.Device != "" || m.Origin.Arrived.IsZero() {
		t.Errorf("wrong message: %+v", m)
	}
	if m.Properties == nil || *m.Properties.PayloadFormat != 1 || string(m.Properties.CorrelationData) != "c" {
		t.Errorf("wrong properties: %+v", m.Properties)
	}
}

func TestPayloadIsCopied(t *testing.T) {
	var held holdingIngester
	c := start(t, func(cfg *Config) { cfg.Ingester = &held }).connect(mqtt.V311, "a")
	c.publish("t", 1, "first")
	held.wait(t, 1)
	c.publish("t", 2, "other")
	held.wait(t, 2)
	if got := string(held.messages[0].Payload); got != "first" {
		t.Errorf("the payload became %q when the buffer was used again", got)
	}
}

func TestShutdownWaitsForAcknowledgements(t *testing.T) {
	var held holdingIngester
	h := start(t, func(cfg *Config) {
		cfg.Ingester = &held
		cfg.Limits.DrainTimeout = time.Minute
	})
	c := h.connect(mqtt.V5, "a")
	c.publish("t", 1, "x")
	held.wait(t, 1)
	conn := h.clients.find("a")
	go h.stop()
	<-conn.interrupted
	held.receipts[0](nil)
	c.expectAck(1, mqtt.Success)
	c.expectEnd(mqtt.ServerShuttingDown)
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

// TestPubcompIsNeverARefusal fails the commit of a PUBREL: PUBCOMP has no reason
// code for that (MQTT 5.0 §3.7.2.1), so the connection ends and the client tries
// again.
func TestPubcompIsNeverARefusal(t *testing.T) {
	h, taken := idle(t, nil)
	taken.refuse = func(s iot.Submission) error {
		if len(s.Effects) > 0 {
			if _, ok := s.Effects[0].(*iot.Release); ok {
				return errors.New("the disk is on fire")
			}
		}
		return nil
	}
	c := h.visit()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", SessionExpiry: 60, CleanStart: true})
	c.write(mqtt.AppendPublish(nil, c.version, &mqtt.Publish{Topic: []byte("t"), QoS: 2, PacketID: 1}))
	c.expect(mqtt.PubrecPacket)
	c.write(mqtt.AppendAck(nil, c.version, &mqtt.Ack{Type: mqtt.PubrelPacket, PacketID: 1}))
	c.expectEnd(mqtt.UnspecifiedError)
}

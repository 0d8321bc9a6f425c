package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestFilters subscribes each filter by itself and publishes to every topic,
// retained and not, so that both ways of matching are seen.
func TestFilters(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.2-3", "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-1", "MQTT-4.7.3-4", "MQTT-1.5.4-3")
	w := newWorld(t)
	topics := []string{
		"a", "A", "a/", "/a", "/", "//", "a/b", "a//b", "a/b/c", "a/b/", "b", " ", "a ", "é", "e\u0301", "\ufeffa", "a/\ufeff", "日本/語", "a.b", "a/*",
	}
	matches := map[string][]string{
		"#":         topics,
		"+":         {"a", "A", "b", " ", "a ", "é", "e\u0301", "\ufeffa", "a.b"},
		"+/+":       {"a/", "/a", "/", "a/b", "a/\ufeff", "日本/語", "a/*"},
		"/+":        {"/a", "/"},
		"+/":        {"a/", "/"},
		"a/#":       {"a", "a/", "a/b", "a//b", "a/b/c", "a/b/", "a/\ufeff", "a/*"},
		"a/+":       {"a/", "a/b", "a/\ufeff", "a/*"},
		"a/+/#":     {"a/", "a/b", "a//b", "a/b/c", "a/b/", "a/\ufeff", "a/*"},
		"+/b/#":     {"a/b", "a/b/c", "a/b/"},
		"a/+/c":     {"a/b/c"},
		"/#":        {"/a", "/", "//"},
		"a":         {"a"},
		"a/*":       {"a/*"},
		"é":         {"é"},
		"e\u0301":   {"e\u0301"},
		"\ufeffa":   {"\ufeffa"},
		"日本/+":      {"日本/語"},
		"//":        {"//"},
		"a/b/c/#":   {"a/b/c"},
		"a/b/c/d/+": {},
	}
	pub := w.connect(mqtt.V5, "pub")
	for _, topic := range topics {
		pub.publish(topic, "x", 1, retained)
	}
	w.settle()
	for filter, want := range matches {
		t.Run(filter, func(t *testing.T) {
			want := slices.Sorted(slices.Values(want))
			sub := w.in(t).connect(mqtt.V5, "sub")
			sub.subscribe(filter, 0)
			for _, way := range []string{"retained", "live"} {
				if way == "live" {
					for _, topic := range topics {
						pub.publish(topic, "x", 1)
					}
				}
				got := []string{}
				for range want {
					got = append(got, string(sub.expectPublish().Topic))
				}
				sub.quiet()
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", way, got, want)
				}
			}
		})
	}
}

func TestTopicsThatBeginWithDollar(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.7.2-1")
	w := newWorld(t)
	for filter, matches := range map[string]bool{
		"#": false, "+/up": false, "+/#": false, "$SYS/#": true, "$SYS/+": true, "$SYS/up": true, "$share/g/#": false, "$share/g/$SYS/+": true,
	} {
		t.Run(filter, func(t *testing.T) {
			w := w.in(t)
			c := w.connect(mqtt.V5, "c")
			c.subscribe(filter, 1)
			w.publish(&iot.Message{Topic: "$SYS/up", Payload: []byte("x"), QoS: 1})
			if matches {
				c.expectMessage("$SYS/up", "x", 1)
			}
			c.quiet()
		})
	}
}

func TestRetainedTopicsThatBeginWithDollar(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.7.2-1")
	w := newWorld(t)
	w.publish(&iot.Message{Topic: "$SYS/up", Payload: []byte("x"), QoS: 1, Retain: true})
	c := w.connect(mqtt.V5, "c")
	c.subscribe("#", 1)
	c.subscribe("+/up", 1)
	c.quiet()
	c.subscribe("$SYS/#", 1)
	c.expectMessage("$SYS/up", "x", 1)
}

func TestLongestTopic(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.7.3-3")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.Payload = 256 << 10 })
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := v.String() + "/" + strings.Repeat("x", 65535-len(v.String())-1)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe(topic, 1)
		pub.publish(topic, "x", 1)
		sub.expectMessage(topic, "x", 1)
		sub.unsubscribe(topic)
	})
}

// TestManyTopics has the topics and filters of many clients side by side.
func TestManyTopics(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.2-3", "MQTT-4.6.0-6")
	w := newWorld(t)
	pub := w.connect(mqtt.V5, "pub")
	var subs []*client
	for i := range 10 {
		c := w.connect(mqtt.V311, fmt.Sprint("sub", i))
		c.subscribe(fmt.Sprintf("site/%d/+", i), 1)
		subs = append(subs, c)
	}
	for n := range 50 {
		pub.publish(fmt.Sprintf("site/%d/x", n%10), fmt.Sprint(n), 1)
	}
	for i, c := range subs {
		for n := i; n < 50; n += 10 {
			c.expectMessage(fmt.Sprintf("site/%d/x", i), fmt.Sprint(n), 1)
		}
		c.quiet()
	}
}

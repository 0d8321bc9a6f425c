package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestFullSessionTellsWhatItDropped fills the queue of a session whose client is
// away: what was kept comes, and the client is told how much was not.
func TestFullSessionTellsWhatItDropped(t *testing.T) {
	t.Parallel()
	const kept, dropped = 10, 5
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.SessionMessages = kept })
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := "t/" + v.String()
		sub, pub := w.connect(v, "sub"+v.String(), resume), w.connect(mqtt.V5, "pub"+v.String())
		sub.subscribe(topic, 2)
		sub.drop()
		for i := range kept + dropped {
			pub.publish(topic, fmt.Sprint(i), byte(1+i%2))
		}
		sub = w.connect(v, "sub"+v.String(), resume)
		if v == mqtt.V5 && !strings.HasPrefix(sub.connack.ReasonString, fmt.Sprintf("%d messages were dropped", dropped)) {
			t.Errorf("CONNACK says %q", sub.connack.ReasonString)
		}
		for i := range kept {
			sub.expectMessage(topic, fmt.Sprint(i), byte(1+i%2))
		}
		sub.quiet()
		sub.drop()
		sub = w.connect(v, "sub"+v.String(), resume)
		if sub.connack.ReasonString != "" {
			t.Errorf("CONNACK still says %q", sub.connack.ReasonString)
		}
		pub.publish(topic, "room", 2)
		sub.expectMessage(topic, "room", 2)
	})
}

package broker

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestPlacesOfThoseThatArrive(t *testing.T) {
	a := arriving{limit: 2, left: make(chan struct{}, 1)}
	var conns []net.Conn
	var places []*arrival
	began := time.Now()
	for _, step := range []struct {
		name      string
		after     time.Duration // since the begin
		leaves    int           // who leaves before, +1; 0: nobody
		wait      time.Duration // 0: a place
		displaced int           // who, +1; 0: nobody
	}{
		{"the first", 0, 0, 0, 0},
		{"the last that fits", 300 * time.Millisecond, 0, 0, 0},
		{"none is old enough to go", 400 * time.Millisecond, 0, 600 * time.Millisecond, 0},
		{"the oldest goes", time.Second, 0, 0, 1},
		{"the next is younger", time.Second, 0, 300 * time.Millisecond, 0},
		{"who was displaced has no place to give back", time.Second, 1, 300 * time.Millisecond, 0},
		{"one has left by itself", time.Second, 2, 0, 0},
	} {
		if step.leaves > 0 {
			a.leave(places[step.leaves-1])
		}
		nc, _ := net.Pipe()
		place, wait := a.tryEnter(nc, began.Add(step.after))
		if (place != nil) != (step.wait == 0) || wait != step.wait {
			t.Errorf("%s: place %v, wait %s, want %s", step.name, place != nil, wait, step.wait)
		}
		if full := a.places.Len() > a.limit; full {
			t.Errorf("%s: %d places", step.name, a.places.Len())
		}
		for i, p := range places {
			closed := conns[i].SetDeadline(time.Now()) != nil
			if p.displaced.Load() != closed || step.displaced == i+1 && !closed {
				t.Errorf("%s: connection %d is displaced %t, closed %t", step.name, i+1, p.displaced.Load(), closed)
			}
		}
		if place != nil {
			conns, places = append(conns, nc), append(places, place)
		}
	}
	if a.full(began.Add(1900*time.Millisecond)) == a.full(began.Add(2*time.Second)) {
		t.Error("full does not tell when the oldest may be displaced")
	}
}

// TestIdleArrivalsMakeRoom has connections that send nothing take every place.
func TestIdleArrivalsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, func(cfg *Config) {
			cfg.Limits.Arriving, cfg.Limits.ConnectTimeout = 4, time.Hour
		})
		var idle []*client
		for range 4 {
			idle = append(idle, h.dial())
		}
		began := time.Now()
		for _, id := range []string{"a", "b"} {
			h.connect(mqtt.V5, id)
		}
		if waited := time.Since(began); waited != arrivingTime {
			t.Errorf("waited %s for a place, want %s", waited, arrivingTime)
		}
		idle[0].expectClosed()
		idle[3].connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "late", CleanStart: true})
		h.stop()
	})
}

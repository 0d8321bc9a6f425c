package servertest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// loader is a device that publishes readings, numbered from 0, with a window of
// unacknowledged ones. When it connects again it first sends those again, marked
// DUP, in their order.
type loader struct {
	name    string
	config  *tls.Config
	version mqtt.Version

	mu      sync.Mutex
	tried   int   // readings below it have been handed to a connection
	written int   // readings below it were taken by the network
	acked   int   // readings below it are acknowledged
	err     error // what is wrong with the server's answers
}

const (
	loaderWindow    = 32
	loaderPacketIDs = 100 // few, so that each is used again and again
)

func loaderPacketID(n int) uint16 { return uint16(n%loaderPacketIDs + 1) }

// loaders makes n devices on a server that runs, half of them with MQTT 5.
func loaders(s *Server, n int) []*loader {
	s.t.Helper()
	var all []*loader
	for i := range n {
		l := &loader{name: fmt.Sprintf("loader-%d", i), version: []mqtt.Version{mqtt.V311, mqtt.V5}[i%2]}
		l.config, _ = s.Device(l.name)
		all = append(all, l)
	}
	return all
}

// load runs loaders against a server until their connections end; wait waits
// for that and reports what the server answered wrongly.
func load(t *testing.T, addr string, all []*loader) (wait func()) {
	var running sync.WaitGroup
	for _, l := range all {
		running.Go(func() { l.run(addr) })
	}
	return func() {
		t.Helper()
		running.Wait()
		for _, l := range all {
			if l.err != nil {
				t.Fatalf("%s: %v", l.name, l.err)
			}
		}
	}
}

// run loads the server until the connection ends.
func (l *loader) run(addr string) {
	c, ack, err := Dial(addr, l.config, Hello(l.name, l.version))
	if err == nil && ack.Code != mqtt.Success {
		err = fmt.Errorf("CONNACK %v", ack.Code)
	}
	if err != nil {
		l.fail(err)
		return
	}
	defer c.Conn.Close()
	window := make(chan struct{}, loaderWindow)
	ended := make(chan struct{})
	_, _, from := l.state()
	go func() {
		defer close(ended)
		l.readAcks(c, window)
	}()
	for n := from; ; n++ {
		select {
		case window <- struct{}{}:
		case <-ended:
			return
		}
		if l.publish(c, n) != nil {
			<-ended
			return
		}
	}
}

func (l *loader) publish(c *Wire, n int) error {
	l.mu.Lock()
	dup := n < l.tried
	l.tried = max(l.tried, n+1)
	l.mu.Unlock()
	payload := fmt.Sprintf(`{"device_id":%q,"n":%d}`, l.name, n)
	err := c.Send(mqtt.Publish{QoS: 1, Dup: dup, PacketID: loaderPacketID(n), Topic: []byte(server.GuideTopic), Payload: []byte(payload)})
	if err == nil {
		l.mu.Lock()
		l.written = max(l.written, n+1)
		l.mu.Unlock()
	}
	return err
}

// readAcks takes PUBACKs, which must come in the order of the publishes, until
// the connection ends.
func (l *loader) readAcks(c *Wire, window <-chan struct{}) {
	for {
		packet, err := c.Read()
		if err != nil || mqtt.PacketType(packet) == mqtt.DisconnectPacket {
			return
		}
		ack, err := mqtt.DecodeAck(packet, c.Version)
		_, _, due := l.state()
		if err != nil || ack.Type != mqtt.PubackPacket || ack.Code != mqtt.Success || ack.PacketID != loaderPacketID(due) {
			l.fail(fmt.Errorf("got % x (%v) when the PUBACK of packet %d was due", packet, err, loaderPacketID(due)))
			c.Conn.Close()
			return
		}
		l.mu.Lock()
		l.acked++
		l.mu.Unlock()
		<-window
	}
}

func (l *loader) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *loader) state() (tried, written, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried, l.written, l.acked
}

// awaitAcks waits until so many more readings are acknowledged.
func (l *loader) awaitAcks(t *testing.T, more int) {
	t.Helper()
	_, _, from := l.state()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, _, acked := l.state(); acked >= from+more {
			return
		}
	}
	t.Fatalf("%s: no acknowledgements", l.name)
}

// check compares the history of the loader's device with what the loader knows:
// every reading from the first one on must be there once, in order, up to at
// least the last one acknowledged.
func (l *loader) check(t *testing.T, gateway string) {
	t.Helper()
	tried, _, acked := l.state()
	stored := 0
	eachReading(t, gateway, l.name, func(payload []byte) {
		if want := fmt.Sprintf(`{"device_id":%q,"n":%d}`, l.name, stored); string(payload) != want {
			t.Fatalf("%s: reading %d of the history is %s", l.name, stored, payload)
		}
		stored++
	})
	if stored < acked || stored > tried {
		t.Fatalf("%s: %d readings in the history; %d were acknowledged and %d sent", l.name, stored, acked, tried)
	}
}

// eachReading visits the payloads of a device's history, oldest first.
func eachReading(t *testing.T, gateway, device string, visit func(payload []byte)) {
	t.Helper()
	for cursor := ""; ; {
		query := url.Values{"device_id": {device}, "from": {"0"}, "limit": {"200"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		res, err := http.Get("http://" + gateway + "/prod/iotdata?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Items  []struct{ Payload json.RawMessage }
			Cursor string
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("history of %s: %s, %v", device, res.Status, err)
		}
		for _, item := range page.Items {
			visit(item.Payload)
		}
		if cursor = page.Cursor; cursor == "" {
			return
		}
	}
}

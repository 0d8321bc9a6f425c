package push

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

func TestSinceGivesWhatWasMissed(t *testing.T) {
	tests := []struct {
		name, device string
		since        uint64
		want         []string
	}{
		{"of one device", "a", 0, []string{document("a", 1), document("a", 3)}},
		{"behind a seq", "a", 1, []string{document("a", 3)}},
		{"of all", "*", 1, []string{document("b", 2), document("a", 3), document("b", 4)}},
		{"nothing when nothing was missed", "a", 4, nil},
		{"an N ahead of the store means from now on", "a", 1000, nil},
		{"nothing of a device that nobody knows", "c", 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, func(c *Config) { c.LogReadings = 1 }) // the rest is in the store only
			d.commit("a", "b")
			d.commit("a")
			d.commit("b")
			p := d.join(t)
			p.send(fmt.Sprintf(`{"action":"subscribe","device_id":%q,"since":%d}`, tt.device, tt.since))
			p.wants(fmt.Sprintf(`{"action":"subscribed","device_id":%q}`, tt.device))
			p.wants(tt.want...)
			d.commit("a", "b", "c")
			switch tt.device {
			case "a":
				p.wants(document("a", 5))
			case "c":
				p.wants(document("c", 7))
			default:
				p.wants(document("a", 5), document("b", 6), document("c", 7))
			}
			p.nothing()
		})
	}
}

// hooked calls then behind its first write: for a client's connection, when the
// client may know that it is connected.
type hooked struct {
	net.Conn
	once sync.Once
	then func()
}

func (c *hooked) Write(p []byte) (int, error) {
	defer c.once.Do(c.then)
	return c.Conn.Write(p)
}

type hookedListener struct {
	net.Listener
	then func()
}

func (l hookedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &hooked{Conn: conn, then: l.then}, err
}

// TestWhatComesRightBehindTheUpgradeIsDelivered: a client is connected from when
// it reads so, although the gateway has not entered it yet.
func TestWhatComesRightBehindTheUpgradeIsDelivered(t *testing.T) {
	d := open(t, nil)
	d.commit("early")
	server := httptest.NewUnstartedServer(d.Gateway)
	server.Listener = hookedListener{server.Listener, func() {
		d.commit("a")
		for d.dispatched.Load() < 2 {
			runtime.Gosched()
		}
	}}
	server.Start()
	t.Cleanup(server.Close)
	d.url = "ws" + strings.TrimPrefix(server.URL, "http")
	p := d.dial(t)
	p.wants(string(payloadOf(2)))
	d.commit("b")
	p.wants(string(payloadOf(3)))
	p.nothing()
}

func TestSeveralSubscriptions(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	d.commit("a", "b", "c")
	p.wants(string(payloadOf(1)), string(payloadOf(2)), string(payloadOf(3)))
	p.send(`{"action":"subscribe","device_id":"a"}`)
	p.wants(`{"action":"subscribed","device_id":"a"}`)
	d.commit("a")
	p.wants(string(payloadOf(4)))
	p.send(`{"action":"subscribe","device_id":"b","since":1}`)
	p.wants(`{"action":"subscribed","device_id":"b"}`, document("b", 2))
	d.commit("b", "a", "c") // a, without a since of its own, comes as documents now
	p.wants(document("b", 5), document("a", 6))
	p.send(`{"action":"subscribe","device_id":"*","since":5}`)
	p.wants(`{"action":"subscribed","device_id":"*"}`, document("a", 6), document("c", 7))
	d.commit("a", "b", "c") // each once, whoever asked for it
	p.wants(document("a", 8), document("b", 9), document("c", 10))
	p.send(`{"action":"unsubscribe","device_id":"*"}`)
	p.wants(`{"action":"unsubscribed","device_id":"*"}`)
	d.commit("a", "b", "c")
	p.wants(document("a", 11), document("b", 12))
	p.nothing()
}

// TestSinceIsExactUnderPublishing checks the seam: whatever is published
// meanwhile, a client gets every seq behind its since once and in order, also
// where the log is much too short and the store has to help.
func TestSinceIsExactUnderPublishing(t *testing.T) {
	const readings, clients = 3000, 16
	for _, logged := range []int{1, 50, 100_000} {
		t.Run(fmt.Sprintf("a log of %d", logged), func(t *testing.T) {
			d := open(t, func(c *Config) { c.LogReadings = logged })
			devices := []string{"a", "b", "c"}
			var publishing sync.WaitGroup
			publishing.Go(func() {
				random := rand.New(rand.NewPCG(1, 2))
				for n := 0; n < readings; {
					batch := make([]string, 1+random.IntN(20))
					for i := range batch {
						batch[i] = devices[random.IntN(len(devices))]
					}
					d.commit(batch...)
					n += len(batch)
					if random.IntN(4) == 0 {
						time.Sleep(time.Duration(random.IntN(300)) * time.Microsecond)
					}
				}
				d.commit(devices...) // so that every client knows its end
			})
			var following sync.WaitGroup
			for i := range clients {
				following.Go(func() { followSince(t, d, append(devices, "*")[i%4], uint64(i*i), readings) })
			}
			publishing.Wait()
			following.Wait()
		})
	}
}

// followSince subscribes, reads up to beyond the end, and compares with the store.
func followSince(t *testing.T, d *door, device string, since, end uint64) {
	p := d.dial(t)
	p.send(fmt.Sprintf(`{"action":"subscribe","device_id":%q,"since":%d}`, device, since))
	for p.text() != fmt.Sprintf(`{"action":"subscribed","device_id":%q}`, device) {
		// payloads of before the subscription
	}
	since = min(since, d.store.LastSeq())
	var got []uint64
	for last := uint64(0); last < end; {
		var doc struct {
			Seq      uint64
			DeviceID string `json:"device_id"`
		}
		text := p.text()
		if err := json.Unmarshal([]byte(text), &doc); err != nil || text != document(doc.DeviceID, doc.Seq) {
			t.Errorf("frame %s: %v", text, err)
			return
		}
		last = doc.Seq
		got = append(got, last)
	}
	if len(got) > 0 && since >= got[0] {
		since = got[0] - 1 // it was ahead of the store when the gateway looked
	}
	i := 0
	for _, r := range d.store.all[since:] {
		if device != telemetry.EveryDevice && r.DeviceID != device {
			continue
		}
		if i == len(got) {
			break
		}
		if got[i] != r.Seq {
			t.Errorf("%s since %d: frame %d is seq %d, want %d", device, since, i, got[i], r.Seq)
			return
		}
		i++
	}
	if i != len(got) {
		t.Errorf("%s since %d: %d frames too many", device, since, len(got)-i)
	}
}

func TestGapOfWhatRetentionDropped(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings = 1 })
	for range 10 {
		d.commit("a")
	}
	d.store.mu.Lock()
	d.store.oldest = 7
	d.store.mu.Unlock()
	p := d.join(t)
	p.send(`{"action":"subscribe","device_id":"a","since":2}`)
	p.wants(`{"action":"subscribed","device_id":"a"}`, `{"gap":{"from":3,"to":6}}`)
	p.wants(document("a", 7), document("a", 8), document("a", 9), document("a", 10))
	p.send(`{"action":"subscribe","device_id":"a","since":6}`)
	p.wants(`{"action":"subscribed","device_id":"a"}`, document("a", 7))
}

func TestGapOfAStoreThatHasNothingLeft(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings = 1 })
	for range 10 {
		d.commit("a")
	}
	d.store.mu.Lock()
	d.store.oldest = 11
	d.store.mu.Unlock()
	p := d.join(t)
	p.send(`{"action":"subscribe","device_id":"a","since":0}`)
	p.wants(`{"action":"subscribed","device_id":"a"}`, `{"gap":{"from":1,"to":9}}`, document("a", 10))
}

// held is longer than the buffer of a stalled peer.
var held = strings.Repeat("held ", 100)

// stalled is a client whose writer is held in a write, as a full socket does it.
func stalled(t *testing.T, g *Gateway) *peer {
	t.Helper()
	c, conn := pipe(g)
	t.Cleanup(func() { conn.Close() })
	if !c.offer(command{frame: appendFrame(nil, ws.OpText, []byte(held))}) {
		t.Fatal("the inbox is full")
	}
	r := bufio.NewReaderSize(conn, 16)
	if _, err := r.Peek(1); err != nil { // the writer is at it
		t.Fatal(err)
	}
	return newPeer(t, conn, r)
}

func TestClientTooFarBehindSkips(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings, c.MaxLag = 10, 20 })
	p := stalled(t, d.Gateway)
	for range 30 {
		d.commit("a")
	}
	p.wants(held, `{"gap":{"from":1,"to":30}}`)
	d.commit("a")
	p.wants(string(payloadOf(31)))
}

func TestClientBehindIsServedFromTheStore(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings = 10 })
	p := stalled(t, d.Gateway)
	for range 3 * pageReadings {
		d.commit("a")
	}
	p.wants(held)
	for seq := range uint64(3 * pageReadings) {
		p.wants(string(payloadOf(seq + 1)))
	}
	if d.store.calls() == 0 {
		t.Error("the store was not asked")
	}
}

// TestOldPastIsNotLag: what a since asks for is served however old it is.
func TestOldPastIsNotLag(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings, c.MaxLag = 1, 1 })
	for range 2 * pageReadings {
		d.commit("a")
	}
	p := d.join(t)
	p.send(`{"action":"subscribe","device_id":"*","since":0}`)
	p.wants(`{"action":"subscribed","device_id":"*"}`)
	for seq := range uint64(2 * pageReadings) {
		p.wants(document("a", seq+1))
	}
}

// TestSilenceIsNotLag: a client whose device says nothing for a long time is
// not behind, though the log has gone past the place where it stopped reading.
func TestSilenceIsNotLag(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings, c.MaxLag = 4, 8 })
	p := d.join(t)
	c, err := d.client(d.Connections()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	other := d.join(t)
	p.send(`{"action":"subscribe","device_id":"quiet"}`)
	p.wants(`{"action":"subscribed","device_id":"quiet"}`)
	for c.writer.Load() != idle { // or it would really be behind
		runtime.Gosched()
	}
	for seq := range uint64(100) {
		d.commit("loud")
		other.wants(string(payloadOf(seq + 1)))
	}
	d.commit("quiet")
	p.wants(string(payloadOf(101)))
	p.nothing()
	if n := d.store.calls(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestClientThatDoesNotReadDelaysNobody(t *testing.T) {
	d := open(t, func(c *Config) { c.LogReadings, c.WriteTimeout = 64, time.Hour })
	slow := d.dial(t)
	_ = slow // never reads
	others := []*peer{d.join(t), d.join(t)}
	payload := []byte(`"` + strings.Repeat("x", 100<<10) + `"`)
	for seq := uint64(1); seq <= 200; seq++ { // 20 MB: more than sockets hold
		d.store.mu.Lock()
		r := iot.Reading{DeviceID: "a", Seq: seq, Payload: payload}
		d.store.all = append(d.store.all, r)
		d.store.mu.Unlock()
		d.Publish([]*iot.Reading{&r})
		for _, p := range others {
			p.wants(string(payload))
		}
	}
	for _, p := range others {
		p.nothing()
	}
	if n := len(d.Connections()); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
	slow.conn.Close()
}

func TestOverTLSTheBytesAreTheSame(t *testing.T) {
	d := open(t, nil)
	server := httptest.NewTLSServer(d.Gateway)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	dialer := ws.Dialer{TLSConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
	conn, r, _, err := dialer.Dial(context.Background(), "wss"+strings.TrimPrefix(server.URL, "https"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := newPeer(t, conn, r)
	p.ping()
	for range 100 {
		d.commit("a", "b")
	}
	for seq := range uint64(200) {
		p.wants(string(payloadOf(seq + 1)))
	}
}

func TestStoreThatFailsEndsItsClientOnly(t *testing.T) {
	d := open(t, func(c *Config) {
		c.LogReadings = 1
		c.Readings = failing{c.Readings}
	})
	for range 5 {
		d.commit("a")
	}
	other, p := d.join(t), d.join(t)
	p.send(`{"action":"subscribe","device_id":"a","since":0}`)
	if code, _ := p.closed(); code != ws.StatusInternalServerError {
		t.Errorf("closed with %d", code)
	}
	d.commit("a")
	other.wants(string(payloadOf(6)))
}

// failing is a store that cannot be read.
type failing struct{ Readings }

func (failing) Since(uint64, uint64, string, int) ([]iot.Reading, uint64, error) {
	return nil, 0, iot.ErrClosed
}

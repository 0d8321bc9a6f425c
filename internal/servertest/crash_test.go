package servertest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// crashData, in the environment, makes the test binary a server on that data
// folder, for a test to kill.
const crashData = "FIELDLINE_TEST_SERVER_DATA"

func TestMain(m *testing.M) {
	if data := os.Getenv(crashData); data != "" {
		if err := serve(data); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs a server until SIGTERM, saying where it is on standard output.
func serve(data string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := server.New(Config(data))
	if err != nil {
		return err
	}
	return s.Run(ctx, "", func() {
		text, _ := json.Marshal(s.Addresses()) // strings always marshal
		fmt.Println(string(text))
	})
}

// child is a server in a process of its own.
type child struct {
	cmd       *exec.Cmd
	addresses server.Addresses
}

func spawn(t *testing.T, data string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), crashData+"="+data)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	if err := json.Unmarshal(line, &c.addresses); err != nil {
		t.Fatal(err)
	}
	return c
}

// kill ends the process as a power cut would end the program.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // reports the kill
}

// loader is a device that publishes numbered readings with a window of
// unacknowledged ones, and sends those again, marked DUP, after a crash.
type loader struct {
	name   string
	config *tls.Config

	mu      sync.Mutex
	next    int            // number of the next reading
	unacked map[uint16]int // reading by packet id
	acked   []int
}

const crashWindow = 32

func (l *loader) packetID(n int) uint16 { return uint16(n%60000 + 1) }

func (l *loader) publish(c *Client, n int, dup bool) error {
	payload := fmt.Sprintf(`{"device_id":%q,"n":%d}`, l.name, n)
	return c.Send(mqtt.Publish{QoS: 1, Dup: dup, PacketID: l.packetID(n), Topic: []byte(server.GuideTopic), Payload: []byte(payload)})
}

// run loads the server until the connection ends.
func (l *loader) run(addr string) error {
	c, ack, err := Dial(addr, l.config, mqtt.Connect{Version: mqtt.V311, ClientID: l.name, KeepAlive: 30, ReceiveMaximum: 65535})
	if err != nil {
		return err
	}
	defer c.Conn.Close()
	if ack.Code != mqtt.Success {
		return fmt.Errorf("CONNACK %v", ack.Code)
	}
	room := make(chan struct{}, crashWindow)
	l.mu.Lock()
	again := make([]int, 0, len(l.unacked))
	for _, n := range l.unacked {
		again = append(again, n)
	}
	l.mu.Unlock()
	slices.Sort(again)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.readAcks(c, room)
	}()
	for _, n := range again {
		if l.publish(c, n, true) != nil {
			break
		}
	}
	for range crashWindow - len(again) {
		room <- struct{}{}
	}
	for {
		select {
		case <-ended:
			return nil
		case <-room:
		}
		l.mu.Lock()
		n := l.next
		l.next++
		l.unacked[l.packetID(n)] = n
		l.mu.Unlock()
		if l.publish(c, n, false) != nil {
			<-ended
			return nil
		}
	}
}

func (l *loader) readAcks(c *Client, room chan<- struct{}) {
	for {
		packet, err := c.Expect(mqtt.PubackPacket)
		if err != nil {
			return
		}
		ack, err := mqtt.DecodeAck(packet, mqtt.V311)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.acked = append(l.acked, l.unacked[ack.PacketID])
		delete(l.unacked, ack.PacketID)
		l.mu.Unlock()
		room <- struct{}{}
	}
}

// waitFor waits until the loader has so many acknowledged readings more.
func (l *loader) waitFor(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	want := len(l.acked) + more
	l.mu.Unlock()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		got := len(l.acked)
		l.mu.Unlock()
		if got >= want {
			return
		}
	}
	t.Fatalf("%s: no acknowledgements", l.name)
}

// history returns how often each reading of a device is stored.
func history(t *testing.T, gateway, device string) map[int]int {
	t.Helper()
	count := make(map[int]int)
	for cursor := ""; ; {
		query := url.Values{"device_id": {device}, "from": {"0"}, "limit": {"1000"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		res, err := http.Get("http://" + gateway + "/prod/iotdata?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Items  []struct{ Payload struct{ N int } }
			Cursor string
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			count[item.Payload.N]++
		}
		if cursor = page.Cursor; cursor == "" {
			return count
		}
	}
}

// TestNothingAcknowledgedIsLostOverKills kills the server twenty times under
// load. Every acknowledged reading must be in the history exactly once, and so
// must every one that was in flight and sent again.
func TestNothingAcknowledgedIsLostOverKills(t *testing.T) {
	const kills = 20
	data := filepath.Join(t.TempDir(), "data")
	loaders := provisionLoaders(t, data, 4)
	inFlight := 0
	for range kills {
		c := spawn(t, data)
		var running sync.WaitGroup
		for _, l := range loaders {
			running.Go(func() {
				if err := l.run(c.addresses.Device); err != nil {
					t.Errorf("%s: %v", l.name, err)
				}
			})
		}
		for _, l := range loaders {
			l.waitFor(t, 50+rand.IntN(100))
		}
		c.kill(t)
		running.Wait()
		for _, l := range loaders {
			inFlight += len(l.unacked)
		}
	}
	if inFlight == 0 {
		t.Fatal("no publish was in flight at any kill: the test proves nothing")
	}
	verify(t, spawn(t, data), loaders)
	t.Logf("%d publishes were in flight over %d kills", inFlight, kills)
}

func provisionLoaders(t *testing.T, data string, n int) []*loader {
	t.Helper()
	s := Start(t, func(c *server.Config) { c.Data = data })
	defer s.Stop()
	var loaders []*loader
	for i := range n {
		name := fmt.Sprintf("loader-%d", i)
		config, _ := s.Device(name)
		loaders = append(loaders, &loader{name: name, config: config, unacked: make(map[uint16]int)})
	}
	return loaders
}

// verify sends what is still in flight again and compares with the history.
func verify(t *testing.T, c *child, loaders []*loader) {
	t.Helper()
	for _, l := range loaders {
		go l.run(c.addresses.Device)
	}
	for _, l := range loaders {
		l.waitFor(t, crashWindow*2) // more than was in flight, so all of that is acknowledged
	}
	for _, l := range loaders {
		l.mu.Lock()
		acked := slices.Clone(l.acked)
		l.mu.Unlock()
		stored := history(t, c.addresses.Gateway, l.name)
		for _, n := range acked {
			if stored[n] != 1 {
				t.Errorf("%s: acknowledged reading %d is stored %d times", l.name, n, stored[n])
			}
		}
		for n, times := range stored {
			if times != 1 {
				t.Errorf("%s: reading %d is stored %d times", l.name, n, times)
			}
		}
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("orderly stop: %v", err)
	}
}

package servertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/outbox"
	"github.com/fieldline-iot/fieldline/internal/store"
	"github.com/fieldline-iot/fieldline/internal/target"
)

const benchConcurrency = 32 // of requests, as an action has by default

// BenchmarkHTTPAction compares what performs the entries of an http action that wait
// in the outbox, of a hundred senders, with goroutines that do nothing but post the
// same bodies to the same server. All of it shares the cores, so run it with -cpu 1;
// cpu-ns/op is what the process used, whatever else the machine does.
func BenchmarkHTTPAction(b *testing.B) {
	payload := []byte(`{"device_id":"d","temperature":21.5,"humidity":40,"pad":"` + strings.Repeat("x", 140) + `"}`)
	var arrived atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived.Add(1)
	}))
	defer hook.Close()
	b.Run("plain", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConcurrency}}
		defer client.CloseIdleConnections()
		defer reportCPU(b)()
		var begun atomic.Int64
		var posting sync.WaitGroup
		for range benchConcurrency {
			posting.Go(func() {
				for begun.Add(1) <= int64(b.N) {
					res, err := client.Post(hook.URL, "application/json", bytes.NewReader(payload))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		}
		posting.Wait()
	})
	b.Run("outbox", func(b *testing.B) {
		dispatcher, wake := filledOutbox(b, hook.URL, payload)
		arrived.Store(0)
		ctx, stop := context.WithCancel(b.Context())
		b.ResetTimer()
		report := reportCPU(b)
		ended := make(chan error, 1)
		go func() { ended <- dispatcher.Run(ctx) }()
		wake()
		for arrived.Load() < int64(b.N) {
			time.Sleep(100 * time.Microsecond)
		}
		b.StopTimer()
		report()
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

// reportCPU reports the time of processors from now until the function that it returns
// is called.
func reportCPU(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	return func() { b.ReportMetric(float64(used()-began)/float64(b.N), "cpu-ns/op") }
}

// filledOutbox returns a dispatcher of a store in which b.N posts wait.
func filledOutbox(b *testing.B, url string, payload []byte) (d *outbox.Dispatcher, wake func()) {
	web, err := target.NewWeb(target.WebConfig{Allow: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	posts, err := target.NewHTTP(target.HTTPConfig{Web: web, Confirmed: func(string) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: b.TempDir(), OutboxLimit: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	committed, seal := context.WithCancel(context.Background())
	sealed := make(chan error, 1)
	go func() {
		sealed <- s.Run(committed, func(batch []*iot.Commit) {
			for _, c := range batch {
				c.Receipt.Committed(0, c.Err)
			}
		})
	}()
	b.Cleanup(func() {
		seal()
		if err := <-sealed; err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	done := make(acknowledged, b.N)
	lane := new(iot.Lane)
	for n := range b.N {
		id := fmt.Sprintf("device-%02d", n%100)
		task := &iot.Task{
			Rule: "ToHook", Action: "HttpAction", Target: url, Trace: "0b0a8a52-7a3c-4c55-9a5e-1d6c7f1f5d11",
			Message: &iot.Message{Topic: "sensor/data", Payload: payload, Origin: iot.Origin{ClientID: id, Device: id, Arrived: time.Now()}},
		}
		e, err := task.Enqueue(iot.HTTPOutbox, 0, id, &iot.Post{URL: url, ContentType: "application/json", Body: payload})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Submit(&iot.Commit{Lane: lane, Effects: []iot.Effect{e}, Receipt: done}); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	d, err = outbox.New(outbox.Config{Store: s, Performers: map[string]outbox.Performer{iot.HTTPOutbox: posts.Perform}})
	if err != nil {
		b.Fatal(err)
	}
	return d, func() {
		for _, lane := range s.OutboxLanes() {
			d.Wake(lane)
		}
	}
}

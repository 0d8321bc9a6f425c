package target

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestEachKindIsPerformedAndSigned(t *testing.T) {
	targets := map[string]string{
		iot.SQSOutbox: "AmazonSQS.SendMessage", iot.KinesisOutbox: "Kinesis_20131202.PutRecord",
		iot.DynamoDBOutbox: "DynamoDB_20120810.PutItem", iot.LogsOutbox: "Logs_20140328.PutLogEvents",
	}
	for _, x := range examples() {
		t.Run(x.kind, func(t *testing.T) {
			s := serve(t, ok(x.answer))
			if err := at(t, s.URL).perform(t, x.kind, x.request); err != nil {
				t.Fatal(err)
			}
			got := s.requests()
			if len(got) != 1 || got[0].target != targets[x.kind] || !strings.Contains(got[0].authorization, "Credential=FOREIGNKEY/") {
				t.Errorf("the service got %+v", got)
			}
		})
	}
}

// What a service answers decides whether the outbox tries again, and the error says
// what happened to what.
func TestAnswersAreFinalOrWorthAnotherTry(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer answer
		final  error
		want   string
	}{
		{"a missing resource is final", refuse(400, "ResourceNotFoundException", "no such thing"), iot.ErrNotFound, "ResourceNotFoundException: no such thing"},
		{"a missing queue is final", refuse(400, "QueueDoesNotExist", "gone"), iot.ErrNotFound, "gone"},
		{"a refused permission is final", refuse(400, "AccessDeniedException", "not you"), iot.ErrDenied, "AccessDeniedException"},
		{"an unknown key is final", refuse(400, "UnrecognizedClientException", "who"), iot.ErrDenied, "UnrecognizedClientException"},
		{"a wrong secret is final", refuse(403, "InvalidSignatureException", "The signature does not match"), iot.ErrDenied, "InvalidSignatureException"},
		{"a request that is not valid is final", refuse(400, "ValidationException", "bad"), iot.ErrInvalid, "ValidationException: bad"},
		{"an error that nobody knows is final when it is the client's", refuse(400, "Peculiar", "bad"), iot.ErrInvalid, "Peculiar"},
		{"a clock that is wrong is not", refuse(403, "InvalidSignatureException", "Signature expired: 2026 is now earlier than"), nil, "Signature expired"},
		{"an expired key is not", refuse(400, "ExpiredTokenException", "late"), nil, "ExpiredTokenException"},
		{"a throttle is not", refuse(400, "ProvisionedThroughputExceededException", "slow down"), nil, "ProvisionedThroughputExceededException"},
		{"a throttle by status is not", refuse(429, "Peculiar", "slow down"), nil, "Peculiar"},
		{"a limit of requests at once is not", refuse(400, "LimitExceededException", "slow down"), nil, "LimitExceededException"},
		{"a transaction under way is not", refuse(400, "TransactionConflictException", "busy"), nil, "TransactionConflictException"},
		{"the service's own fault is not", refuse(500, "InternalFailure", "sorry"), nil, "InternalFailure"},
		{"being unavailable is not", refuse(503, "ServiceUnavailable", "sorry"), nil, "ServiceUnavailable"},
		{"a page of a proxy is not", answer{status: 404, body: "<html>not here</html>"}, nil, `answered 404 without an error of AWS but with "<html>`},
		{"a page with a good status is not", answer{status: 200, body: "<html>welcome</html>"}, nil, `answered 200 with no JSON object but "<html>`},
		{"broken JSON is not", answer{status: 200, body: `{"MessageId":`}, nil, "answered 200 with no JSON object"},
		{"JSON that is no object is not", answer{status: 200, body: `[]`}, nil, "answered 200 with no JSON object"},
		{"null is not", answer{status: 200, body: `null`}, nil, "answered 200 with no JSON object"},
		{"silence is not", answer{status: 200}, nil, "answered 200 with no JSON object"},
		{"members of the wrong types are not", ok(`{"MessageId":5,"SequenceNumber":{},"rejectedLogEventsInfo":7,"ConsumedCapacity":7}`), nil, "at http://127.0.0.1"},
		{"another good status is not", answer{status: 202, body: `{}`}, nil, "answered 202"},
		{"a redirect is not", answer{do: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		}}, nil, "answered 301"},
		{"bytes that are no text are not", answer{status: 500, body: "\xff\xfe"}, nil, "answered 500"},
		{"an answer that breaks off is not", answer{do: breakOff}, nil, "broke off"},
		{"an answer without end is not", answer{do: endless}, nil, "more than 1048576 bytes"},
		{"headers without end are not", answer{do: endlessHeader}, nil, "headers"},
		{"a connection that closes is not", answer{do: hangUp}, nil, "ended without an answer"},
	} {
		for _, x := range examples() {
			t.Run(c.name+"/"+x.kind, func(t *testing.T) {
				s := serve(t, c.answer)
				err := at(t, s.URL).perform(t, x.kind, x.request)
				if err == nil {
					t.Fatal("it succeeded")
				}
				if refused(err) != (c.final != nil) || c.final != nil && !errors.Is(err, c.final) {
					t.Errorf("%v: is final %v, want %v", err, refused(err), c.final)
				}
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%q does not say %q", err, c.want)
				}
				if len(err.Error()) > 800 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			})
		}
	}
}

func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte(`{`))
}

func endless(w http.ResponseWriter, _ *http.Request) {
	chunk := []byte(strings.Repeat("x", 64<<10))
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func endlessHeader(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	w.WriteHeader(http.StatusOK)
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// An answer that says nothing of what was done is no success.
func TestAnEmptyAnswerIsNoReceipt(t *testing.T) {
	for _, x := range examples()[:2] { // the others have nothing to say
		s := serve(t, ok(`{}`))
		if err := at(t, s.URL).perform(t, x.kind, x.request); err == nil || refused(err) {
			t.Errorf("%s: %v", x.kind, err)
		}
	}
}

func TestSilenceEndsWithTheTimeout(t *testing.T) {
	for _, x := range examples() {
		t.Run(x.kind, func(t *testing.T) {
			s := serve(t, answer{do: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
			err := at(t, s.URL, func(c *Config) { c.Timeout = 20 * time.Millisecond }).perform(t, x.kind, x.request)
			if err == nil || refused(err) || !strings.Contains(err.Error(), " at "+s.URL+": no answer within 20ms") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnAnswerThatDripsEndsWithTheTimeout(t *testing.T) {
	s := serve(t, answer{do: func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}})
	x := examples()[2]
	err := at(t, s.URL, func(c *Config) { c.Timeout = 30 * time.Millisecond }).perform(t, x.kind, x.request)
	if err == nil || refused(err) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfTheServerEndsARequest(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := serve(t, answer{do: func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	}})
	err := at(t, s.URL).Performers()[iot.KinesisOutbox](ctx, outboxEntry(t, iot.KinesisOutbox, examples()[1].request))
	if !errors.Is(err, context.Canceled) || refused(err) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyListensIsWorthAnotherTry(t *testing.T) {
	s := serve(t, ok("{}"))
	s.Close()
	for _, x := range examples() {
		err := at(t, s.URL).perform(t, x.kind, x.request)
		if err == nil || refused(err) || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v", x.kind, err)
		}
	}
}

// The outbox tries again; a client that did too would hide it.
func TestTheClientDoesNotTryAgainByItself(t *testing.T) {
	for _, x := range examples() {
		s := serve(t, refuse(500, "InternalFailure", "sorry"))
		if err := at(t, s.URL).perform(t, x.kind, x.request); err == nil {
			t.Errorf("%s succeeded", x.kind)
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%s was sent %d times", x.kind, n)
		}
	}
}

func TestOneConnectionServesManyEntries(t *testing.T) {
	var remotes []string
	x := examples()[1]
	s := serve(t, answer{do: func(w http.ResponseWriter, r *http.Request) {
		remotes = append(remotes, r.RemoteAddr)
		_, _ = w.Write([]byte(x.answer))
	}})
	targets := at(t, s.URL)
	for range 3 {
		if err := targets.perform(t, x.kind, x.request); err != nil {
			t.Fatal(err)
		}
	}
	if len(remotes) != 3 || remotes[0] != remotes[2] {
		t.Errorf("requests came from %v", remotes)
	}
	if n := len(targets.clients.made); n != 1 {
		t.Errorf("%d clients were made", n)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	x := examples()[1]
	s := serve(t, ok(x.answer), refuse(400, "ResourceNotFoundException", ""), refuse(500, "InternalFailure", ""))
	registry := prometheus.NewRegistry()
	targets := at(t, s.URL, func(c *Config) { c.Metrics = registry })
	for range 3 {
		_ = targets.perform(t, x.kind, x.request)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.Metric {
			for _, label := range m.Label {
				counted[family.GetName()+" "+label.GetValue()] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	for name, want := range map[string]float64{
		"fieldline_target_requests_total ok": 1, "fieldline_target_requests_total refused": 1, "fieldline_target_requests_total failed": 1,
		"fieldline_target_requests_total kinesis": 3, "fieldline_target_request_seconds kinesis": 3,
	} {
		if counted[name] != want {
			t.Errorf("%s is %v, want %v", name, counted[name], want)
		}
	}
}

func TestClientsAreBounded(t *testing.T) {
	targets := at(t, "http://127.0.0.1:1")
	for i := range 2*maxClients + 1 {
		of := subject{service: SQS, at: place{url: "http://host" + strings.Repeat("x", i)}}
		clientOf(targets.clients, of, func(aws.Config) *int { return new(int) })
	}
	if n := len(targets.clients.made); n > maxClients {
		t.Errorf("%d clients are kept", n)
	}
}

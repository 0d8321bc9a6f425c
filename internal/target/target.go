package target

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Config is what a Targets needs.
type Config struct {
	// Region is the server's: that of AWS's endpoints, but for queues whose URL
	// names another, and of every signature.
	Region string
	// Endpoints says where each service is; nil is the default of each.
	Endpoints Endpoints
	// Self is this server's own control API.
	Self Self
	// Credentials sign what goes to AWS and to foreign endpoints. Nil is the
	// default chain of AWS's client library in this process, which is first asked
	// when a request needs it.
	Credentials aws.CredentialsProvider
	// Timeout bounds each request to a service (default 10 s).
	Timeout time.Duration
	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers nothing
}

// Self is this server's own control API, as its clients see it.
type Self struct {
	URL                          string // such as http://127.0.0.1:4566
	AccessKeyID, SecretAccessKey string
}

// Targets performs outbox entries for AWS's services, at AWS or elsewhere. It may
// be used by any number of goroutines; it keeps connections open between calls.
type Targets struct {
	cfg      Config
	clients  *clients
	order    *order
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// New validates the configuration. Nothing is connected or asked for before the
// first entry.
func New(cfg Config) (*Targets, error) {
	if err := cfg.Endpoints.Validate(); err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("target: no region")
	}
	if us := cfg.Self; (us.URL == "" || us.AccessKeyID == "") && (cfg.Endpoints.of(DynamoDB) == self || cfg.Endpoints.of(CloudWatchLogs) == self) {
		return nil, errors.New("target: an endpoint is this server, whose control address or access key is not given")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Targets{
		cfg:     cfg,
		clients: newClients(cfg),
		order:   newOrder(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fieldline_target_requests_total", Help: "Requests of rules' actions to AWS services, by service and result (ok, failed, refused).",
		}, []string{"service", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fieldline_target_request_seconds", Help: "How long requests of rules' actions to AWS services took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"service"}),
	}
	if cfg.Metrics != nil {
		return t, errors.Join(cfg.Metrics.Register(t.requests), cfg.Metrics.Register(t.seconds))
	}
	return t, nil
}

// Performers returns what performs the entries of each kind of outbox action. An
// error that wraps [iot.ErrInvalid], [iot.ErrNotFound] or [iot.ErrDenied] is final:
// the same entry cannot succeed until somebody mends something. After any other
// the entry is worth another try.
func (t *Targets) Performers() map[string]func(ctx context.Context, e iot.OutboxEntry) error {
	return map[string]func(ctx context.Context, e iot.OutboxEntry) error{
		iot.SQSOutbox:      t.sendMessage,
		iot.KinesisOutbox:  t.putRecord,
		iot.DynamoDBOutbox: t.writeItem,
		iot.LogsOutbox:     t.putLogEvents,
	}
}

// subject is what a request acts on, and where it is.
type subject struct {
	service string // as endpoints name it
	name    string // for people, such as "DynamoDB table readings"
	at      place
}

// String names the subject and where it is, once.
func (s subject) String() string {
	if s.at.url != "" && strings.Contains(s.name, s.at.url) { // a queue's URL says it
		return s.name
	}
	return s.name + " at " + s.at.String()
}

// call makes one request to a service, within its time. The error that it returns
// is explained and classified; [apiCode] still finds AWS's code in it.
func (t *Targets) call(ctx context.Context, of subject, request func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	began := time.Now()
	err := request(limited)
	t.seconds.WithLabelValues(of.service).Observe(time.Since(began).Seconds())
	switch {
	case err == nil:
		t.requests.WithLabelValues(of.service, "ok").Inc()
		return nil
	case ctx.Err() == nil && limited.Err() != nil:
		err = &unanswered{t.cfg.Timeout}
	}
	err = explain(of, err)
	result := "failed"
	if refused(err) {
		result = "refused"
	}
	t.requests.WithLabelValues(of.service, result).Inc()
	return err
}

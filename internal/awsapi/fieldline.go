package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// streamPatience is how long one line of a stream may take to be written.
const streamPatience = 10 * time.Second

// fieldlineOperations are Fieldline's own, under SigV4 service name fieldline.
// Their answers are the types of insight.go.
func (a *API) fieldlineOperations() []operation {
	return []operation{
		{"Status", "GET", "/fieldline/status", 200, a.status},
		{"Clients", "GET", "/fieldline/clients", 200, a.clients},
		{"Client", "GET", "/fieldline/clients/{clientId}", 200, a.client},
		{"Kick", "DELETE", "/fieldline/clients/{clientId}", 200, a.kick},
		{"Connections", "GET", "/fieldline/connections", 200, a.connections},
		{"Rules", "GET", "/fieldline/rules", 200, a.ruleStatuses},
		{"Logs", "GET", "/fieldline/logs/{function}", 200, a.logs},
		{"Messages", "GET", "/fieldline/messages", 200, a.messages},
		{"Login", "POST", "/fieldline/login", 200, a.login},
	}
}

func (a *API) status(context.Context, *request) (any, error) {
	return a.cfg.Insight.Status(), nil
}

func (a *API) connections(context.Context, *request) (any, error) {
	connections, err := a.cfg.Insight.Connections()
	return listed(connections), err
}

func (a *API) ruleStatuses(context.Context, *request) (any, error) {
	return listed(a.cfg.Insight.Rules()), nil
}

// listed makes an empty list [] in JSON.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// number reads a number of the query string; absent is 0.
func (q *request) number(member string) (uint64, error) {
	text := q.query.Get(member)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s=%q is not a number: %w", member, text, iot.ErrInvalid)
	}
	return n, nil
}

func (a *API) logs(_ context.Context, q *request) (any, error) {
	from, err := q.number("from")
	if err != nil {
		return nil, err
	}
	lines, err := a.cfg.Insight.Logs(q.labels["function"], from)
	return listed(lines), err
}

func (a *API) login(context.Context, *request) (any, error) {
	url, err := a.cfg.Insight.Login()
	return LoginLink{url}, err
}

// stream is the result of an operation that answers with JSON lines until the
// client or the server has enough. It calls emit for each line.
type stream func(ctx context.Context, emit func(line any) error) error

// messages streams the messages of a filter, as TappedMessage lines. The first,
// empty one says that the listener is in place. With last=N it answers a list of
// those that passed last.
func (a *API) messages(_ context.Context, q *request) (any, error) {
	filter := q.query.Get("filter")
	if err := topic.ValidFilter(filter); err != nil {
		return nil, fmt.Errorf("filter %q: %w: %w", filter, err, iot.ErrInvalid)
	}
	if q.query.Has("last") {
		return a.lastMessages(q, filter)
	}
	return stream(func(ctx context.Context, emit func(any) error) error {
		return a.cfg.Insight.Listen(ctx, filter, func(m *iot.Message, dropped uint64) error {
			return emit(tapped(m, dropped))
		})
	}), nil
}

func tapped(m *iot.Message, dropped uint64) TappedMessage {
	if m == nil {
		return TappedMessage{Dropped: dropped}
	}
	line := TappedMessage{Topic: m.PublishedTopic(), QoS: m.QoS, ClientID: m.Origin.ClientID, Arrived: m.Origin.Arrived, Dropped: dropped}
	if utf8.Valid(m.Payload) {
		line.Payload = string(m.Payload)
	} else {
		line.Binary = m.Payload
	}
	return line
}

// serveStream writes a stream, each line as soon as it is there. It ends when
// the client goes, stops reading, or the server shuts down. Its error is one that
// came before the first line: nothing was written yet.
func (a *API) serveStream(w http.ResponseWriter, q *request, s stream) error {
	ctx, stop := context.WithCancel(q.http.Context())
	defer stop()
	go func() {
		select {
		case <-a.draining:
			stop()
		case <-ctx.Done():
		}
	}()
	out, lines, begun := http.NewResponseController(w), json.NewEncoder(w), false
	// The server's own limits are for requests that end. A writer that knows no
	// deadlines is not a connection, and cannot hang.
	_ = errors.Join(out.SetReadDeadline(time.Time{}), out.SetWriteDeadline(time.Time{}))
	err := s(ctx, func(line any) error {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			begun = true
		}
		_ = out.SetWriteDeadline(time.Now().Add(streamPatience))
		if err := lines.Encode(line); err != nil {
			return err
		}
		return out.Flush()
	})
	if err != nil && !begun && ctx.Err() == nil {
		_ = out.SetWriteDeadline(time.Now().Add(streamPatience))
		return err
	}
	if err != nil {
		a.cfg.Log.Debug("stream ended", "request", q.id, "error", err)
	}
	return nil
}

package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Workbench tries statements without any action. A statement that does not parse
// is an [*iotsql.SyntaxError].
type Workbench interface {
	// Recent returns the last n messages kept whose topic matches a filter, newest
	// first.
	Recent(filter string, n int) []*iot.Message
	Try(ctx context.Context, t iot.Trial, m *iot.Message) (iot.RuleTrace, error)
	// TryRecent tries a statement on the last messages kept of a filter, or, when
	// that is "", of its FROM; newest first.
	TryRecent(ctx context.Context, t iot.Trial, filter string, limit int) ([]iot.MessageTrace, error)
	// Replay tries a statement on stored readings and calls each with those on which
	// it fired or failed.
	Replay(ctx context.Context, q iot.ReplayQuery, each func(iot.MessageTrace) error) (iot.TrialSummary, error)
}

// Limits of the workbench.
const (
	maxTrialBody  = 1 << 20 // bytes: a statement, and a payload as JSON has it
	maxLast       = 1024    // recent messages
	maxReplay     = 100_000 // readings
	replayTime    = 60 * time.Second
	replayShown   = 20 // traces in the answer
	maxTraces     = 32 // live ones at once
	tracePatience = 10 * time.Second
)

// workbenchRoutes are there when there is a workbench.
func (a *API) workbenchRoutes(mux *http.ServeMux) {
	if a.cfg.Workbench != nil {
		mux.HandleFunc("POST /api/sql", a.trying(a.serveTry))
		mux.HandleFunc("POST /api/sql/recent", a.trying(a.serveTryRecent))
		mux.HandleFunc("POST /api/sql/replay", a.trying(a.serveReplay))
		mux.HandleFunc("GET /api/messages", a.looking(a.serveMessages))
	}
	if a.cfg.Trace != nil {
		mux.HandleFunc("GET /api/trace", a.looking(a.serveTrace))
	}
}

// trying lets those through who may look, from the dashboard itself: what is tried
// changes nothing, but it is work.
func (a *API) trying(next http.HandlerFunc) http.HandlerFunc {
	return a.looking(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(r, origin) || origin == "" && !fromHere(r) {
			writeProblem(w, http.StatusForbidden, "another page may try nothing here", "Origin "+origin)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxTrialBody)
		next(w, r)
	})
}

// decodeBody reads a request's body, one JSON document without unknown members.
func decodeBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more follows the document")
		}
	}
	if err != nil && !errors.Is(err, iot.ErrInvalid) {
		err = fmt.Errorf("the body is not the JSON that was expected: %w: %w", err, iot.ErrInvalid)
	}
	return err
}

func (a *API) serveTry(w http.ResponseWriter, r *http.Request) {
	var in iot.TrialRequest
	if err := decodeBody(r, &in); err != nil {
		a.writeError(w, r, err)
		return
	}
	if in.Message == nil {
		a.writeError(w, r, fmt.Errorf(`"message" is missing: what to try the statement on: %w`, iot.ErrInvalid))
		return
	}
	m, err := in.Message.Message(a.cfg.Now())
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	trace, err := a.cfg.Workbench.Try(r.Context(), in.Trial(), m)
	if err != nil {
		a.writeSQLError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, trace)
}

func (a *API) serveTryRecent(w http.ResponseWriter, r *http.Request) {
	var in iot.TrialRequest
	if err := decodeBody(r, &in); err != nil {
		a.writeError(w, r, err)
		return
	}
	traces, err := a.cfg.Workbench.TryRecent(r.Context(), in.Trial(), in.Filter, in.Limit)
	if err != nil {
		a.writeSQLError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, orEmpty(traces))
}

// serveReplay answers the summary of a replay, which says with "more" that the
// time was over too, and the first traces.
func (a *API) serveReplay(w http.ResponseWriter, r *http.Request) {
	var in iot.ReplayRequest
	if err := decodeBody(r, &in); err != nil {
		a.writeError(w, r, err)
		return
	}
	if in.Limit > maxReplay {
		a.writeError(w, r, fmt.Errorf("limit %d: at most %d readings are replayed here (fieldline sql --replay takes more): %w", in.Limit, maxReplay, iot.ErrInvalid))
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), replayTime)
	defer stop()
	first := []iot.MessageTrace{}
	summary, err := a.cfg.Workbench.Replay(ctx, in.Query(), func(m iot.MessageTrace) error {
		if len(first) < replayShown {
			first = append(first, m)
		}
		return nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		summary.More, err = true, nil
	}
	if err != nil {
		a.writeSQLError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Summary iot.TrialSummary   `json:"summary"`
		First   []iot.MessageTrace `json:"first"`
	}{summary, first})
}

// shownMessage is a message in the answer of /api/messages, as the control API has
// it.
type shownMessage struct {
	Topic    string    `json:"topic"`
	Payload  string    `json:"payload,omitempty"` // when it is UTF-8
	Binary   []byte    `json:"binary,omitempty"`  // the payload otherwise, base64 in JSON
	QoS      byte      `json:"qos,omitempty"`
	ClientID string    `json:"clientId,omitempty"`
	Arrived  time.Time `json:"arrived,omitzero"`
}

// serveMessages answers the messages of a filter that passed last, newest first.
func (a *API) serveMessages(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter, last := query.Get("filter"), maxLast
	if err := topic.ValidFilter(filter); err != nil {
		a.writeError(w, r, fmt.Errorf("filter %q: %w: %w", filter, err, iot.ErrInvalid))
		return
	}
	if text := query.Get("last"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLast {
			a.writeError(w, r, fmt.Errorf("last=%s: a number from 1 to %d: %w", text, maxLast, iot.ErrInvalid))
			return
		}
		last = n
	}
	list := []shownMessage{}
	for _, m := range a.cfg.Workbench.Recent(filter, last) {
		shown := shownMessage{Topic: m.PublishedTopic(), QoS: m.QoS, ClientID: m.Origin.ClientID, Arrived: m.Origin.Arrived}
		if utf8.Valid(m.Payload) {
			shown.Payload = string(m.Payload)
		} else {
			shown.Binary = m.Payload
		}
		list = append(list, shown)
	}
	writeJSON(w, http.StatusOK, list)
}

// serveTrace streams what the rules make of messages, a JSON document a line,
// until the client goes, stops reading, may look no longer, or the server stops.
func (a *API) serveTrace(w http.ResponseWriter, r *http.Request) {
	filter := iot.TraceFilter{Rule: r.URL.Query().Get("rule"), Filter: r.URL.Query().Get("filter")}
	if filter.Filter != "" {
		if err := topic.ValidFilter(filter.Filter); err != nil {
			a.writeError(w, r, fmt.Errorf("filter %q: %w: %w", filter.Filter, err, iot.ErrInvalid))
			return
		}
	}
	if a.traces.Add(1) > maxTraces {
		a.traces.Add(-1)
		a.writeError(w, r, fmt.Errorf("%d pages follow rules already: close one: %w", maxTraces, iot.ErrOverloaded))
		return
	}
	defer a.traces.Add(-1)
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	go func() {
		select {
		case <-a.draining:
			stop()
		case <-ctx.Done():
		}
	}()
	begun, err := a.stream(ctx, w, r, filter)
	switch {
	case err == nil || ctx.Err() != nil:
	case begun:
		a.cfg.Log.Debug("trace ended", "err", err)
	default:
		a.writeError(w, r, err)
	}
}

// stream writes the lines of a trace, each as soon as it is there, and reports
// whether there was one.
func (a *API) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, filter iot.TraceFilter) (begun bool, err error) {
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	err = a.cfg.Trace(ctx, filter, func(line iot.TraceLine) error {
		if !a.cfg.OpenLooking && !a.sessions.holds(r) {
			return fmt.Errorf("its session has ended: %w", iot.ErrDenied)
		}
		if !begun {
			begun = true
			h := w.Header()
			h.Set("Content-Type", "application/x-ndjson")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no") // a proxy is to pass each line on at once
		}
		// The server's own limit is for requests that end. A writer that knows no
		// deadlines is not a connection, and cannot hang.
		_ = out.SetWriteDeadline(time.Now().Add(tracePatience))
		if err := lines.Encode(line); err != nil {
			return err
		}
		return out.Flush()
	})
	return begun, err
}

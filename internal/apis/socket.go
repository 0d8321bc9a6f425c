package apis

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// messagesMost bounds the messages of one connection that functions are at work on.
const messagesMost = 8

// Sockets keeps the connections of WebSocket APIs: the WebSocket door.
type Sockets interface {
	// Serve upgrades a request to a connection of a stage ("{apiId}/{stage}") that
	// s serves. With listens it also follows readings.
	Serve(w http.ResponseWriter, r *http.Request, s Socket, stage string, listens bool)
	// Post sends a text message to a connection without waiting for it.
	Post(connectionID string, data []byte) error
}

// Socket is one connection, as the door sees who serves it.
type Socket interface {
	// Connect decides before the upgrade whether the client may come in and on
	// which subprotocol; with ok false it has answered the request.
	Connect(w http.ResponseWriter, r *http.Request, c iot.Connection) (protocol string, ok bool)
	// Message takes a message, and reports false for one that is an action on
	// readings. While it waits, which ctx ends, the connection is not read further.
	Message(ctx context.Context, message []byte, binary bool) (taken bool)
	// Disconnect says that the connection has ended.
	Disconnect(ctx context.Context, code int, reason string)
}

// socket is a connection of a stage; its messages go the routes of the stage as
// that is now.
type socket struct {
	e          *Engine
	apiID      string
	stage      string
	connection iot.Connection
	listens    bool              // it follows readings, and may say which
	authorizer map[string]string // what the authorizer said; nil without one
	accessKey  string            // that signed the connect; "" without AWS_IAM
	slots      chan struct{}     // one for each message at work

	mu   sync.Mutex
	last *stage // the stage as it was last served: a deleted one still hears of $disconnect
}

func (e *Engine) serveSocket(w http.ResponseWriter, r *http.Request, st *stage) {
	s := &socket{e: e, apiID: st.apiID, stage: st.name, last: st, slots: make(chan struct{}, messagesMost)}
	s.listens = e.isBuiltIn(st.keys[connectRoute])
	e.cfg.Sockets.Serve(w, r, s, st.apiID+"/"+st.name, s.listens)
}

// isBuiltIn reports whether a route leads to the built-in OnConnect: it has those
// whom it lets in follow readings, and takes messages for actions on them.
func (e *Engine) isBuiltIn(r *route) bool {
	const onConnect = "OnConnect"
	return r != nil && r.function == onConnect && e.cfg.Functions.BuiltIn(onConnect)
}

// current returns the stage as it is served now; live is false for one that has
// been deleted, which is returned as it was.
func (s *socket) current() (st *stage, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := (*s.e.served.Load())[s.apiID][s.stage]; st != nil {
		s.last = st
		return st, true
	}
	return s.last, false
}

func (s *socket) Connect(w http.ResponseWriter, r *http.Request, c iot.Connection) (protocol string, ok bool) {
	s.connection = c
	r = withoutCookie(r, s.e.cfg.PrivateCookie)
	st, id := s.last, newRequestID()
	rt := st.keys[connectRoute]
	if rt == nil { // $connect is optional
		return "", true
	}
	if !rt.limit.take() {
		s.refuse(w, http.StatusTooManyRequests, "Too Many Requests", id)
		return "", false
	}
	granted := s.e.authorizeSocket(r, s, st, rt, id)
	if granted.refused() {
		s.refuse(w, granted.status, granted.message, id)
		return "", false
	}
	s.authorizer, s.accessKey = granted.strings(), granted.accessKey
	if rt.function == "" { // a MOCK, or no target
		return "", true
	}
	payload, err := s.e.call(r.Context(), st, rt.function, s.e.executeARN(s.apiID, s.stage+"/"+connectRoute), rt.timeout(), id, s.connectEvent(st, r, id))
	if err != nil {
		s.e.failed(connectRoute, s, err)
		status, message := connectFailure(err)
		s.refuse(w, status, message, id)
		return "", false
	}
	return s.accept(w, payload, id)
}

// accept obeys what the function of $connect answered.
func (s *socket) accept(w http.ResponseWriter, payload []byte, id string) (protocol string, ok bool) {
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil || answer.StatusCode < 200 || answer.StatusCode > 599 {
		s.e.failed(connectRoute, s, errors.New("the function's answer has no statusCode from 200 to 599"))
		s.refuse(w, http.StatusBadGateway, "Internal server error", id)
		return "", false
	}
	if answer.StatusCode >= 300 {
		s.refuse(w, answer.StatusCode, http.StatusText(answer.StatusCode), id)
		return "", false
	}
	for name, value := range answer.Headers {
		if strings.EqualFold(name, "Sec-WebSocket-Protocol") {
			protocol = value
		}
	}
	return protocol, true
}

// connectFailure is how an upgrade is refused after an error of its function.
func connectFailure(err error) (status int, message string) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "Endpoint request timed out"
	case errors.Is(err, errFailed):
		return http.StatusBadGateway, "Internal server error"
	case errors.Is(err, iot.ErrOverloaded):
		return http.StatusServiceUnavailable, "Service Unavailable"
	}
	return http.StatusInternalServerError, "Internal server error"
}

// note is what API Gateway says on a connection by itself.
type note struct {
	Message      string `json:"message"`
	ConnectionID string `json:"connectionId"`
	RequestID    string `json:"requestId"`
}

func (s *socket) refuse(w http.ResponseWriter, status int, message, id string) {
	writeJSON(w, status, note{message, s.connection.ID, id})
}

// tell sends a note on the connection.
func (s *socket) tell(message, id string) {
	text, _ := json.Marshal(note{message, s.connection.ID, id}) // plain text always marshals
	s.post(text)
}

func (s *socket) post(text []byte) {
	if err := s.e.cfg.Sockets.Post(s.connection.ID, text); err != nil {
		s.e.cfg.Log.Debug("answer lost", "api", s.apiID, "connection", s.connection.ID, "error", err)
	}
}

func (s *socket) Message(ctx context.Context, message []byte, binary bool) (taken bool) {
	id := newRequestID()
	st, live := s.current()
	rt := st.keys[routeKey(st, message)]
	if rt == nil {
		rt = st.keys[defaultRoute]
	}
	switch {
	case rt == nil || !live:
		s.tell("Forbidden", id)
	case !rt.limit.take():
		s.tell("Too Many Requests", id)
	case s.listens && s.e.isBuiltIn(rt):
		return false
	case rt.integration == nil:
		s.tell("Internal server error", id)
	case rt.function == "": // a MOCK
	default:
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return true
		}
		s.e.messages.Go(func() {
			defer func() { <-s.slots }()
			s.serve(st, rt, message, binary, id)
		})
	}
	return true
}

// routeKey is the key of a message's route; $connect and $disconnect are none
// that a message can have.
func routeKey(st *stage, message []byte) string {
	if key := st.selection.key(message); key != connectRoute && key != disconnectRoute && key != "" {
		return key
	}
	return defaultRoute
}

// serve has the function of a route answer a message.
func (s *socket) serve(st *stage, rt *route, message []byte, binary bool, id string) {
	event := s.messageEvent(st, rt, message, binary, id)
	payload, err := s.e.call(context.Background(), st, rt.function, s.e.executeARN(s.apiID, s.stage+"/"+rt.Key), rt.timeout(), id, event)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.e.failed(rt.Key, s, err)
		s.tell("Endpoint request timed out", id)
	case err != nil:
		s.e.failed(rt.Key, s, err)
		s.tell("Internal server error", id)
	case rt.responds:
		var answer struct {
			Body *string `json:"body"`
		}
		if err := json.Unmarshal(payload, &answer); err != nil {
			s.e.failed(rt.Key, s, err)
			s.tell("Internal server error", id)
		} else if answer.Body != nil {
			s.post([]byte(*answer.Body))
		}
	}
}

func (s *socket) Disconnect(ctx context.Context, code int, reason string) {
	st, _ := s.current()
	rt := st.keys[disconnectRoute]
	if rt == nil || rt.function == "" {
		return
	}
	id := newRequestID()
	_, err := s.e.call(ctx, st, rt.function, s.e.executeARN(s.apiID, s.stage+"/"+disconnectRoute), rt.timeout(), id, s.disconnectEvent(st, code, reason, id))
	if err != nil {
		s.e.failed(disconnectRoute, s, err)
	}
}

// failed logs why a route did not do what it should: clients are not told.
func (e *Engine) failed(key string, s *socket, err error) {
	e.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "route failed", slog.String("api", s.apiID), slog.String("stage", s.stage),
		slog.String("route", key), slog.String("connection", s.connection.ID), slog.Any("error", err))
}

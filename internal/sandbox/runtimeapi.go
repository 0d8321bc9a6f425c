package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// runtimeAPI is the Lambda Runtime API (version 2018-06-01) of one process. It
// answers anybody who reaches its loopback port, so it takes no request on trust.
type runtimeAPI struct {
	cfg     *Config
	deliver func(*call) // told under mu that the process takes the call

	calls      chan *call    // holds the one call that waits for next
	ready      chan struct{} // closed by the first next
	initFailed chan outcome  // takes one

	body sync.Mutex // held while a body is read: only one takes memory at a time

	mu         sync.Mutex
	isReady    bool
	current    *call           // delivered and not answered
	extensions map[string]bool // by identifier
}

func newRuntimeAPI(cfg *Config, deliver func(*call)) *runtimeAPI {
	return &runtimeAPI{
		cfg:        cfg,
		deliver:    deliver,
		calls:      make(chan *call, 1),
		ready:      make(chan struct{}),
		initFailed: make(chan outcome, 1),
		extensions: make(map[string]bool),
	}
}

func (a *runtimeAPI) handler() http.Handler {
	mux := http.NewServeMux()
	const invocation = "/2018-06-01/runtime/invocation/"
	mux.HandleFunc("GET "+invocation+"next", a.next)
	mux.HandleFunc("POST "+invocation+"{id}/response", a.response)
	mux.HandleFunc("POST "+invocation+"{id}/error", a.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", a.initFailure)
	mux.HandleFunc("POST /2020-01-01/extension/register", a.register)
	mux.HandleFunc("GET /2020-01-01/extension/event/next", a.extensionEvent)
	return mux
}

// notFromBrowsers refuses what a page in a browser of this machine can send: no
// runtime sends these headers, and a name other than the loopback address in Host
// is DNS rebinding.
func notFromBrowsers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil || host != loopback || r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			refuse(w, http.StatusForbidden, "AccessDenied", "the Runtime API is for the runtime of one function")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// next hands the process its next event, and waits for one as long as it takes.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	if !a.isReady {
		a.isReady = true
		close(a.ready)
	}
	if c := a.current; c != nil {
		a.current = nil
		c.done <- failed(c.in.RequestID, "Runtime.NoResponse", "Runtime asked for the next event without answering this one")
	}
	a.mu.Unlock()

	select {
	case c := <-a.calls:
		if r.Context().Err() != nil {
			a.calls <- c // whoever asked has gone
			return
		}
		a.hand(w, c)
	case <-r.Context().Done():
	}
}

func (a *runtimeAPI) hand(w http.ResponseWriter, c *call) {
	a.mu.Lock()
	c.start = time.Now()
	c.deadline = c.start.Add(a.cfg.Timeout)
	a.current = c
	a.deliver(c)
	close(c.delivered)
	a.mu.Unlock()

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", c.in.RequestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", a.cfg.ARN)
	h.Set("Lambda-Runtime-Trace-Id", c.in.Trace)
	if c.in.ClientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", c.in.ClientContext)
	}
	_, _ = w.Write(c.in.Event) // a process that is gone is seen by its exit
}

// response takes the function's result, which is passed on as it is.
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	body, ok := a.read(w, r, id)
	if !ok {
		return
	}
	result := outcome{payload: body}
	// A runtime that streams learns of its failure after the headers are gone.
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		detail, _ := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		result = functionFailure(detail, kind)
	}
	a.finish(w, id, result)
}

// failure takes the error that a function reports.
func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if body, ok := a.read(w, r, id); ok {
		a.finish(w, id, functionFailure(body, r.Header.Get("Lambda-Runtime-Function-Error-Type")))
	}
}

// functionFailure returns the outcome for the error document that a runtime
// sent, or for one made of it when it is no JSON.
func functionFailure(body []byte, kind string) outcome {
	var e functionError
	switch err := json.Unmarshal(body, &e); {
	case err != nil && !json.Valid(body):
		if kind == "" {
			kind = "Runtime.UnknownReason"
		}
		return reported(functionError{string(body), kind})
	case e.Type != "":
		kind = e.Type
	case kind == "":
		kind = "Runtime.UnknownReason"
	}
	return outcome{payload: body, errorType: kind}
}

// read returns the body of a request about the invocation id. It has answered
// when the result is false.
func (a *runtimeAPI) read(w http.ResponseWriter, r *http.Request, id string) ([]byte, bool) {
	a.body.Lock()
	defer a.body.Unlock()
	if !a.inFlight(id) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err == nil {
		return body, true
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); !large {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body ends early: "+err.Error())
		return nil, false
	}
	limit := strconv.Itoa(maxPayload)
	if a.end(id, reported(functionError{
		"Response payload size exceeded maximum allowed payload size (" + limit + " bytes).", "Function.ResponseSizeTooLarge",
	})) {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+limit+" bytes).")
	} else {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
	return nil, false
}

func (a *runtimeAPI) inFlight(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current != nil && a.current.in.RequestID == id
}

// end gives the invocation id its outcome, if it is the one in flight.
func (a *runtimeAPI) end(id string, o outcome) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil || a.current.in.RequestID != id {
		return false
	}
	a.current.done <- o
	a.current = nil
	return true
}

func (a *runtimeAPI) finish(w http.ResponseWriter, id string, o outcome) {
	if !a.end(id, o) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	accept(w)
}

// initFailure takes the error of a runtime that cannot start.
func (a *runtimeAPI) initFailure(w http.ResponseWriter, r *http.Request) {
	a.body.Lock()
	defer a.body.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the error document is larger than "+strconv.Itoa(maxPayload)+" bytes")
		return
	}
	a.mu.Lock()
	late := a.isReady
	a.mu.Unlock()
	if !late {
		select {
		case a.initFailed <- functionFailure(body, r.Header.Get("Lambda-Runtime-Function-Error-Type")):
			accept(w)
			return
		default: // it has said so already
		}
	}
	refuse(w, http.StatusForbidden, "InvalidStateTransition", "the initialisation of this environment is over")
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(functionError{message, kind})
}

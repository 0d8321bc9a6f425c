package apis

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxPayload is API Gateway's limit on a request and an answer, in bytes.
const maxPayload = 10 << 20

// bodyTimeout is how long a client may take to send its body.
const bodyTimeout = 30 * time.Second

// internalError is what clients of HTTP APIs are told of failures.
const internalError = "Internal Server Error"

// call is one request of an HTTP API on its way to its integration.
type call struct {
	st         *stage
	rt         *route
	http       *http.Request
	id         string
	path       string // escaped, behind the stage's name
	parameters map[string]string
	body       []byte
	grant      grant
}

// serveHTTP answers a request of an HTTP API; path is that behind the stage.
func (e *Engine) serveHTTP(w http.ResponseWriter, r *http.Request, st *stage, path string) {
	id := newRequestID()
	w.Header().Set("Apigw-Requestid", id)
	if e.cfg.Throttle != nil && e.cfg.Throttle(r) != nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "Too Many Requests")
		return
	}
	cors := st.spec.CORS
	if cors != nil && isPreflight(r) {
		answerPreflight(w, r, cors)
		return
	}
	if cors != nil {
		w = &corsWriter{ResponseWriter: w, allow: allowOrigin(cors, r.Header.Get("Origin")), cors: cors}
	}
	rt, parameters := st.match(r.Method, path)
	if rt == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	if !rt.limit.take() {
		refuse(w, http.StatusTooManyRequests, "Too Many Requests")
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		}
		return // or the client is gone
	}
	c := &call{st: st, rt: rt, http: r, id: id, path: path, parameters: parameters, body: body}
	if c.grant = e.authorizeCall(c); c.grant.refused() {
		if c.grant.header != "" {
			w.Header().Set("WWW-Authenticate", c.grant.header)
		}
		refuse(w, c.grant.status, c.grant.message)
		return
	}
	e.integrate(w, c)
}

// readBody reads the whole body, of at most maxPayload bytes, in bodyTimeout.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // tests' writers have none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
}

func (e *Engine) authorizeCall(c *call) grant {
	switch c.rt.Authorization {
	case iot.AuthorizeIAM:
		return e.authorizeIAM(c.http, c.body)
	case iot.AuthorizeJWT:
		return e.authorizeJWT(c.http, c.st, c.rt)
	case iot.AuthorizeCustom:
		arn := e.executeARN(c.st.apiID, c.st.name+"/"+c.http.Method+c.path)
		return e.authorizeByFunction(c.http, c.st, c.rt, arn, c.id, func(values []string) any {
			return e.authorizerEvent(c, arn, values)
		})
	}
	return grant{}
}

// integrate has the route's integration answer.
func (e *Engine) integrate(w http.ResponseWriter, c *call) {
	switch {
	case c.rt.integration == nil:
		e.failedCall(c, errors.New("the route has no target"))
		refuse(w, http.StatusInternalServerError, internalError)
	case c.rt.integration.Type == iot.IntegrateHTTP:
		e.forward(w, c)
	default:
		event := any(e.eventV2(c))
		if c.rt.integration.PayloadFormat == "1.0" {
			event = e.eventV1(c)
		}
		payload, err := e.call(c.http.Context(), c.st, c.rt.function, e.sourceOf(c), c.rt.timeout(), c.id, event)
		if err == nil {
			err = answerCall(w, payload, c.rt.integration.PayloadFormat)
		}
		if err != nil {
			e.failedCall(c, err)
			refuseFailure(w, err)
		}
	}
}

// refuseFailure answers for a function that did not.
func refuseFailure(w http.ResponseWriter, err error) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, iot.ErrOverloaded) {
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	refuse(w, http.StatusInternalServerError, internalError)
}

// sourceOf is the ARN by which permissions name a call: api/stage/METHOD/path with
// the request's method and the route's path, or api/stage/$default.
func (e *Engine) sourceOf(c *call) string {
	if c.rt.method == "" {
		return e.executeARN(c.st.apiID, c.st.name+"/"+defaultRoute)
	}
	return e.executeARN(c.st.apiID, c.st.name+"/"+c.http.Method+pathText(c.rt.path))
}

// pathText writes a route's path.
func pathText(path []segment) string {
	text := ""
	for _, s := range path {
		switch s.kind {
		case literal:
			text += "/" + s.text
		case parameter:
			text += "/{" + s.text + "}"
		case greedy:
			text += "/{" + s.text + "+}"
		}
	}
	if text == "" {
		return "/"
	}
	return text
}

func (e *Engine) failedCall(c *call, err error) {
	e.cfg.Log.Warn("route failed", "api", c.st.apiID, "stage", c.st.name, "route", c.rt.Key, "request", c.id, "error", err)
}

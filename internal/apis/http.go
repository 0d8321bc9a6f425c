package apis

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

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
	held       held
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
	c := &call{st: st, rt: rt, http: withoutCookie(r, e.cfg.PrivateCookie), id: id, path: path, parameters: parameters, held: held{all: &e.held}}
	defer c.held.release()
	steps := []func(http.ResponseWriter, *call) bool{e.admit, e.takeBody} // a stranger's body is not read
	if rt.Authorization == iot.AuthorizeIAM {                             // but what he signed includes it
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if !step(w, c) {
			return
		}
	}
	e.integrate(w, c)
}

// withoutCookie returns a request without a cookie that is none of its API's.
func withoutCookie(r *http.Request, name string) *http.Request {
	if _, err := r.Cookie(name); err != nil {
		return r
	}
	all := r.Cookies()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie")
	for _, c := range all {
		if c.Name != name {
			r.AddCookie(c)
		}
	}
	return r
}

// admit asks who calls, or answers that he may not.
func (e *Engine) admit(w http.ResponseWriter, c *call) (ok bool) {
	c.grant = e.authorizeCall(c)
	if c.grant.refused() {
		if c.grant.header != "" {
			w.Header().Set("WWW-Authenticate", c.grant.header)
		}
		refuse(w, c.grant.status, c.grant.message)
		return false
	}
	return true
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

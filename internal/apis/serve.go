package apis

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxURL is API Gateway's limit on a URL, in bytes.
const maxURL = 4096

// ServeHTTP answers a request for /{apiId}/{stage}/…, for the stage $default
// /{apiId}/…, or for /{stage}/… of the host
// {apiId}.execute-api.{region}.amazonaws.com.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, path := e.hosted(r.Host), r.URL.EscapedPath()
	if id == "" {
		id, path, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
		path = "/" + path
	}
	switch {
	case isConnections(path):
		if e.cfg.Connections == nil {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
		e.cfg.Connections.ServeHTTP(w, r)
	case len(r.RequestURI) > maxURL:
		refuse(w, http.StatusRequestURITooLong, "URI Too Long")
	case !e.serveOwn(w, r, id, path):
		st, rest := e.stageOf(id, path)
		if st == nil {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
		e.serveStage(w, r, st, rest)
	}
}

// stageOf returns the stage that a path of an API is for, and the path behind its
// name; nil when there is none.
func (e *Engine) stageOf(id, path string) (st *stage, rest string) {
	stages := (*e.served.Load())[id]
	name, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if st := stages[name]; st != nil && name != defaultStage {
		return st, "/" + rest
	}
	return stages[defaultStage], path
}

// Stage returns the handler of a stage, whatever the path of its requests; the
// server's own stack is served so at /prod while functions of a user stand in it.
func (e *Engine) Stage(apiID, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := (*e.served.Load())[apiID][name]
		if st == nil {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
		e.serveStage(w, r, st, "/")
	})
}

// serveOwn has an API of the server's own stack served by its handler.
func (e *Engine) serveOwn(w http.ResponseWriter, r *http.Request, id, path string) bool {
	for i := range e.cfg.BuiltIn {
		b := &e.cfg.BuiltIn[i]
		if b.ID != id || b.Handler == nil {
			continue
		}
		if path != "/"+b.Stage && !strings.HasPrefix(path, "/"+b.Stage+"/") { // the handler serves more than the API
			return false
		}
		inner := r.Clone(r.Context())
		text, err := url.PathUnescape(path)
		if err != nil { // never: it was a path's own spelling
			refuse(w, http.StatusBadRequest, "Bad Request")
			return true
		}
		inner.URL.Path, inner.URL.RawPath = text, path
		b.Handler.ServeHTTP(w, inner)
		return true
	}
	return false
}

// hosted returns the API whose AWS host name a Host header is, or "".
func (e *Engine) hosted(hostport string) string {
	host := hostport
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		host = name
	}
	id, ok := strings.CutSuffix(strings.ToLower(host), ".execute-api."+e.cfg.Account.Region+".amazonaws.com")
	if !ok || strings.Contains(id, ".") {
		return ""
	}
	return id
}

// Hosts reports whether a Host header names an API as AWS does.
func (e *Engine) Hosts(hostport string) bool { return e.hosted(hostport) != "" }

// isConnections reports whether an escaped path ends in /@connections/{id}.
func isConnections(path string) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 3 {
		return false
	}
	word := parts[len(parts)-2]
	return word == "@connections" || word == "%40connections"
}

func (e *Engine) serveStage(w http.ResponseWriter, r *http.Request, st *stage, path string) {
	if st.spec.Protocol == iot.APIWebSocket {
		if path != "/" {
			refuse(w, http.StatusForbidden, "Forbidden")
			return
		}
		e.serveSocket(w, r, st)
		return
	}
	e.serveHTTP(w, r, st, path)
}

// refuse answers as API Gateway does itself.
func refuse(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, struct {
		Message string `json:"message"`
	}{message})
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	body, _ := json.Marshal(document) // plain text always marshals
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// newRequestID returns the id of a request or message.
func newRequestID() string { return uuid.NewString() }

// sourceIP is the address that a request comes from.
func sourceIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

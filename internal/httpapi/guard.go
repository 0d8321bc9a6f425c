package httpapi

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// contentPolicy lets the dashboard load from this gateway, and connect to it, only.
// The WebSocket is named by its host, because not every browser counts it as 'self'.
func contentPolicy(host string) string {
	return "default-src 'self'; img-src 'self' data:; connect-src 'self' ws://" + host + " wss://" + host +
		"; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// guard checks the Host header, and hands what is for the APIs of users to them:
// their answers, headers included, are theirs alone.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosted := a.cfg.APIs != nil && a.cfg.APIs.Hosts(r.Host)
		switch {
		case !hosted && !a.knownHost(r.Host):
			writeProblem(w, http.StatusMisdirectedRequest, "unknown host "+r.Host,
				"this gateway answers to localhost, IP addresses and the names given with --hostname")
		case hosted, a.cfg.APIs != nil && forAPIs(r.URL.Path):
			a.cfg.APIs.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// forAPIs reports whether a path is one of a user's API, whose id has ten
// lower-case letters and digits, as no path of the gateway's own has, or one of
// @connections.
func forAPIs(path string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if len(first) == 10 && strings.Trim(first, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
		return true
	}
	return first == "prod" && strings.HasPrefix(rest, "@connections/")
}

// ownHeaders sets the headers that every answer of the gateway's own has.
func (a *API) ownHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy(r.Host))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether a Host header names this gateway: an attacker's own
// name, which he has resolve to this address, does not.
func (a *API) knownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(a.cfg.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// Operator reports whether a request is of the operator's session.
func (a *API) Operator(r *http.Request) bool { return a.sessions.of(r) != nil }

// looking lets those through who may look at the dashboard.
func (a *API) looking(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.cfg.OpenLooking && !a.Operator(r) {
			writeProblem(w, http.StatusUnauthorized, "not logged in", "this gateway shows its dashboard to its operator only: open the link that fieldline login prints")
			return
		}
		next(w, r)
	}
}

// reading lets those through who may query readings.
func (a *API) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := a.cfg.Authorize(r)
		switch {
		case err == nil:
			next(w, r)
		case errors.Is(err, iot.ErrDenied):
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeProblem(w, http.StatusUnauthorized, "not authorized", err.Error())
		default:
			w.Header().Set("Retry-After", retryAfter(err))
			a.writeError(w, r, err)
		}
	}
}

// retryAfter is after how many seconds what err refused may succeed.
func retryAfter(err error) string {
	if errors.Is(err, iot.ErrLimit) {
		return "1"
	}
	return "5"
}

// changing lets the operator through, from the dashboard itself.
func (a *API) changing(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		session := a.sessions.of(r)
		switch origin := r.Header.Get("Origin"); {
		case session == nil:
			writeProblem(w, http.StatusUnauthorized, "not logged in", "open the link that fieldline up printed, or the one that fieldline login prints")
		case origin != "" && !sameOrigin(r, origin), origin == "" && !fromHere(r):
			writeProblem(w, http.StatusForbidden, "another page may not change anything here", "Origin "+origin)
		case !equal(r.Header.Get("X-CSRF-Token"), session.csrf):
			writeProblem(w, http.StatusForbidden, "the CSRF token is missing or wrong", "reload the page")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next(w, r)
		}
	}
}

// fromHere reports whether a browser says that a request without an Origin comes
// from a page of this gateway, or from no page.
func fromHere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

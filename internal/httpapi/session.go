package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// How long a login link may wait for its use, and a session for its next request.
const (
	linkLife    = 15 * time.Minute
	sessionIdle = 12 * time.Hour
	maxSessions = 100 // and as many links; the oldest make room
)

// SessionCookie is the name of the cookie of the operator's session.
const SessionCookie = "fieldline_session"

// session is one operator's.
type session struct {
	csrf string
	used time.Time
}

// sessions are the operator's links and sessions, in memory and by the digest of
// their secret, so that looking one up takes the same time whatever was sent.
type sessions struct {
	now func() time.Time

	mu    sync.Mutex
	links map[[32]byte]time.Time // when made
	open  map[[32]byte]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, links: make(map[[32]byte]time.Time), open: make(map[[32]byte]*session)}
}

// secret is 256 random bits as text.
func secret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// newLink makes a one-time token.
func (s *sessions) newLink() string {
	token := secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.links) >= maxSessions {
		clear(s.links)
	}
	s.links[sha256.Sum256([]byte(token))] = s.now()
	return token
}

// redeem turns a one-time token into a session and returns the cookie's value.
func (s *sessions) redeem(token string) (value string, ok bool) {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	made, ok := s.links[key]
	delete(s.links, key)
	if !ok || s.now().Sub(made) > linkLife {
		return "", false
	}
	if len(s.open) >= maxSessions {
		clear(s.open)
	}
	value = secret()
	s.open[sha256.Sum256([]byte(value))] = &session{csrf: secret(), used: s.now()}
	return value, true
}

// of returns the session of a request, or nil.
func (s *sessions) of(r *http.Request) *session {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil {
		return nil
	}
	key := sha256.Sum256([]byte(cookie.Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[key]
	if found == nil {
		return nil
	}
	if s.now().Sub(found.used) > sessionIdle {
		delete(s.open, key)
		return nil
	}
	found.used = s.now()
	return &session{csrf: found.csrf}
}

// holds reports whether the session of a request is open still. It is no use of it.
func (s *sessions) holds(r *http.Request) bool {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[sha256.Sum256([]byte(cookie.Value))]
	return found != nil && s.now().Sub(found.used) <= sessionIdle
}

// end forgets the session of a request.
func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, sha256.Sum256([]byte(cookie.Value)))
	}
}

// LoginURL makes a link that opens the dashboard as its operator: once, within
// fifteen minutes.
func (a *API) LoginURL() string { return a.cfg.URL + "/login?token=" + a.sessions.newLink() }

// serveLogin redeems a link.
func (a *API) serveLogin(w http.ResponseWriter, r *http.Request) {
	value, ok := a.sessions.redeem(r.URL.Query().Get("token"))
	if !ok {
		writePage(w, http.StatusForbidden, "This link has been used or has expired", "A new one is printed by", "fieldline login")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	a.cfg.Log.Info("operator logged in", "remote", r.RemoteAddr)
	// A redirect would be a request that another site caused, without the cookie:
	// the page itself goes on, as a request of this site.
	w.Header().Set("Refresh", "0; url=/")
	writePage(w, http.StatusOK, "Logged in", "Going on to the dashboard …", "")
}

func (a *API) serveLogout(w http.ResponseWriter, r *http.Request) {
	a.sessions.end(r)
	http.SetCookie(w, &http.Cookie{Name: SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	w.WriteHeader(http.StatusNoContent)
}

// serveSession tells the dashboard who is looking and where it is.
func (a *API) serveSession(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Operator bool   `json:"operator"`
		CSRF     string `json:"csrf,omitempty"`
		Session
		Now int64 `json:"now"` // ms since the epoch
	}{Session: a.cfg.Session, Now: a.cfg.Now().UnixMilli()}
	if s := a.sessions.of(r); s != nil {
		answer.Operator, answer.CSRF = true, s.csrf
	}
	writeJSON(w, http.StatusOK, answer)
}

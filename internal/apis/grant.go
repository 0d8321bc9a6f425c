package apis

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// grant is what became of a caller's authorization: a refusal, or what the
// integration is told of the caller.
type grant struct {
	status  int // of a refusal; 0 lets the caller in
	message string
	header  string // WWW-Authenticate of a refusal

	claims    map[string]any // of a JWT
	scopes    []string       // that its route asked for
	context   map[string]any // of a function's answer
	principal string         // likewise
	latency   int64          // of the function, in milliseconds
	accessKey string         // of an AWS_IAM route
}

func (g *grant) refused() bool { return g.status != 0 }

func unauthorized() grant { return grant{status: http.StatusUnauthorized, message: "Unauthorized"} }

func forbidden() grant { return grant{status: http.StatusForbidden, message: "Forbidden"} }

// strings is the grant as events of WebSocket APIs have it; nil without an
// authorizer function.
func (g *grant) strings() map[string]string {
	if g.principal == "" && g.context == nil {
		return nil
	}
	all := make(map[string]string, len(g.context)+2)
	for name, value := range g.context {
		all[name] = textOf(value)
	}
	all["principalId"] = g.principal
	all["integrationLatency"] = fmt.Sprint(g.latency)
	return all
}

// textOf is a scalar as text.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// identity reads an authorizer's identity sources; ok is false when one is missing.
func identity(r *http.Request, variables map[string]string, sources []string) (values []string, ok bool) {
	for _, text := range sources {
		src, err := parseSource(text)
		if err != nil { // it was checked
			return nil, false
		}
		var value string
		switch {
		case src.header != "":
			value = r.Header.Get(src.header)
			if strings.EqualFold(src.header, "host") {
				value = r.Host
			}
		case src.query != "":
			value = r.URL.Query().Get(src.query)
		default:
			value = variables[src.variable]
		}
		if value == "" {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// results keeps what an authorizer function answered, by identity sources, for
// the authorizer's time. It is bounded; a full one begins anew.
type results struct {
	now func() time.Time

	mu   sync.Mutex
	kept map[[sha256.Size]byte]result
}

type result struct {
	answer authorizerAnswer
	until  time.Time
}

const mostResults = 1000

// resultKey is the digest of an authorizer's identity sources: they are of any
// length, and often secret.
func resultKey(values []string) [sha256.Size]byte {
	text, _ := json.Marshal(values) // texts always marshal
	return sha256.Sum256(text)
}

func newResults(now func() time.Time) *results {
	return &results{now: now, kept: make(map[[sha256.Size]byte]result)}
}

func (k *results) get(key [sha256.Size]byte) (authorizerAnswer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.kept[key]
	return r.answer, ok && k.now().Before(r.until)
}

func (k *results) put(key [sha256.Size]byte, a authorizerAnswer, ttl time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.kept) >= mostResults {
		clear(k.kept)
	}
	k.kept[key] = result{a, k.now().Add(ttl)}
}

// accessPolicy is an authorizer's IAM policy on execute-api:Invoke.
type accessPolicy struct {
	Statement listOf[accessStatement]
}

type accessStatement struct {
	Effect   string
	Action   listOf[string]
	Resource listOf[string]
}

// listOf is a list in JSON of which one element may stand alone.
type listOf[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *listOf[T]) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		return json.Unmarshal(text, (*[]T)(l))
	}
	var one T
	err := json.Unmarshal(text, &one)
	*l = listOf[T]{one}
	return err
}

// allows reports whether the policy lets a resource be invoked: some statement
// allows it and none denies it.
func (p *accessPolicy) allows(resource string) bool {
	allowed := false
	for _, s := range p.Statement {
		if !anyLike(s.Action, "execute-api:Invoke") || !anyLike(s.Resource, resource) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = allowed || s.Effect == "Allow"
	}
	return allowed
}

func anyLike(patterns []string, text string) bool {
	for _, p := range patterns {
		if iot.ARNLike(p, text) {
			return true
		}
	}
	return false
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// portOf is the port of a host and port, or otherwise.
func portOf(hostport, otherwise string) string {
	if _, port, err := net.SplitHostPort(hostport); err == nil {
		return port
	}
	return otherwise
}

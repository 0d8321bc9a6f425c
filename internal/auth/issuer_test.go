package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const (
	cognito  = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab129faBb"
	clientID = "7lhlkkfbfb4q5kpp90urffao"
)

// issuer is an OpenID Connect issuer, reached through a transport of its own.
type issuer struct {
	mu       sync.Mutex
	url      string // what it calls itself
	jwksURI  string // "" is its own
	keys     map[string]any
	down     bool
	requests []string // paths
}

func newIssuer(keys map[string]any) *issuer { return &issuer{url: cognito, keys: keys} }

// set changes the issuer while it may be asked.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) asked(path string) (times int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.requests {
		if p == path {
			times++
		}
	}
	return times
}

const (
	discoveryPath = "/us-east-1_Ab129faBb/.well-known/openid-configuration"
	jwksPath      = "/us-east-1_Ab129faBb/.well-known/jwks.json"
)

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests = append(i.requests, r.URL.Path)
	switch {
	case i.down:
		http.Error(w, "down", http.StatusBadGateway)
	case r.URL.Path == discoveryPath:
		jwks := i.jwksURI
		if jwks == "" {
			jwks = i.url + "/.well-known/jwks.json"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.url, "jwks_uri": jwks})
	case r.URL.Path == jwksPath, r.URL.Scheme == "http": // whom we must not believe has good keys too
		set := []any{map[string]string{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, map[string]string{"kty": "new"}}
		for kid, key := range i.keys {
			set = append(set, jwk(kid, key))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	default:
		http.Redirect(w, r, "http://evil.example/", http.StatusFound)
	}
}

// RoundTrip answers without a network.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}

func jwk(kid string, key any) map[string]any {
	number := func(n *big.Int) string { return encoded(n.Bytes()) }
	switch public := key.(type) {
	case *rsa.PrivateKey:
		return map[string]any{"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number(public.N), "e": "AQAB"}
	case *ecdsa.PrivateKey:
		point, err := public.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		return map[string]any{"kid": kid, "kty": "EC", "crv": "P-256", "x": encoded(point[1:33]), "y": encoded(point[33:])}
	default:
		panic(fmt.Sprintf("%T", key))
	}
}

func encoded(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// sign makes a token by hand, not with the library that verifies it.
func sign(t testing.TB, key any, header, claims map[string]any) string {
	t.Helper()
	parts := make([]string, 2)
	for i, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = encoded(text)
	}
	text := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, key, sum[:])
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encoded(signature)
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// noon is when the tests with a fixed clock take place.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// idToken are the claims of a Cognito ID token that is good at a moment.
func idToken(at time.Time, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": cognito, "aud": clientID, "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "id",
		"exp": at.Add(time.Hour).Unix(), "iat": at.Unix(), "auth_time": at.Unix(), "email": "jo@example.org",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// accessToken are the claims of a Cognito access token: no aud, but a client_id.
func accessToken(at time.Time) map[string]any {
	return idToken(at, map[string]any{"aud": nil, "email": nil, "token_use": "access", "client_id": clientID, "scope": "fieldline/read"})
}

func rs256(kid string) map[string]any {
	return map[string]any{"alg": "RS256", "kid": kid, "typ": "JWT"}
}

// verifier returns a verifier of an issuer's tokens.
func verifier(t testing.TB, i *issuer, now func() time.Time) *JWT {
	t.Helper()
	j, err := NewJWT(JWTConfig{Issuer: cognito, Audiences: []string{"other", clientID}, HTTPClient: &http.Client{Transport: i}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func atNoon() time.Time { return noon }

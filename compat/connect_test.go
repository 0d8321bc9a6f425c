package compat

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestBrowsersConnectWithTokensAndSignatures is the guide's step 13 in Chromium.
func TestBrowsersConnectWithTokensAndSignatures(t *testing.T) {
	chromium := need(t, "chromium")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	segment := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kid":"k","kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, segment(point[1:33]), segment(point[33:]))
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>app</title>") })
	token := func(end time.Duration) string {
		claims := fmt.Sprintf(`{"iss":%q,"client_id":"app","token_use":"access","exp":%d}`, issuer.URL, time.Now().Add(end).Unix())
		text := segment([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + segment([]byte(claims))
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + segment(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	f := up(t, "--jwt-issuer", issuer.URL, "--jwt-audience", "app")
	t.Log(f.script("connect.mjs", "CHROMIUM="+chromium, "TOKEN="+token(time.Hour), "EXPIRED="+token(-time.Hour), "PAGE="+issuer.URL+"/page"))
}

package auth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestTokensThatAreGood(t *testing.T) {
	rsaKey, ecKey := newRSA(t), newEC(t)
	j := verifier(t, newIssuer(map[string]any{"r": rsaKey, "e": ecKey}), atNoon)
	for name, token := range map[string]string{
		"a Cognito ID token":               sign(t, rsaKey, rs256("r"), idToken(noon, nil)),
		"a Cognito access token":           sign(t, rsaKey, rs256("r"), accessToken(noon)),
		"an elliptic curve's signature":    sign(t, ecKey, map[string]any{"alg": "ES256", "kid": "e"}, idToken(noon, nil)),
		"one audience of several":          sign(t, rsaKey, rs256("r"), idToken(noon, map[string]any{"aud": []string{"x", clientID}})),
		"no key id":                        sign(t, rsaKey, map[string]any{"alg": "RS256"}, idToken(noon, nil)),
		"an issuer's clock ahead of ours":  sign(t, rsaKey, rs256("r"), idToken(noon, map[string]any{"iat": noon.Unix() + 50, "nbf": noon.Unix() + 50})),
		"a second before its end, exactly": sign(t, rsaKey, rs256("r"), idToken(noon, map[string]any{"exp": noon.Unix() + 1})),
	} {
		claims, err := j.Verify(t.Context(), token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if claims["sub"] != "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" || fmt.Sprint(claims["auth_time"]) != fmt.Sprint(noon.Unix()) {
			t.Errorf("%s: %v", name, claims)
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	key, strange, ecKey := newRSA(t), newRSA(t), newEC(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := sign(t, key, rs256("r"), idToken(noon, nil))
	header, rest, _ := strings.Cut(good, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	changed := func(changes map[string]any) string { return sign(t, key, rs256("r"), idToken(noon, changes)) }
	for _, tt := range []struct{ name, token, says string }{
		{"nothing", "", "not a signed JWT"},
		{"no token", "a.b.c", "not a signed JWT"},
		{"alg none", sign(t, nil, map[string]any{"alg": "none"}, idToken(noon, nil)), `"none"`},
		{"alg none, with the signature of another", sign(t, nil, map[string]any{"alg": "none"}, idToken(noon, nil)) + signature, `"none"`},
		{"HS256 with the public key as the secret", sign(t, public, map[string]any{"alg": "HS256", "kid": "r"}, idToken(noon, nil)), `"HS256"`},
		{"HS256 with a key that the issuer should not publish", sign(t, []byte("secret"), map[string]any{"alg": "HS256", "kid": "oct"}, idToken(noon, nil)), `"HS256"`},
		{"RSA-PSS", sign(t, key, map[string]any{"alg": "PS256", "kid": "r"}, idToken(noon, nil)), `"PS256"`},
		{"the key id of another algorithm", sign(t, ecKey, map[string]any{"alg": "ES256", "kid": "r"}, idToken(noon, nil)), "does not publish"},
		{"another key under a known id", sign(t, strange, rs256("r"), idToken(noon, nil)), "no key"},
		{"a key that it brings along", sign(t, strange, map[string]any{"alg": "RS256", "jwk": jwk("r", strange), "kid": "r"}, idToken(noon, nil)), "no key"},
		{"no key id, and an unknown key", sign(t, strange, map[string]any{"alg": "RS256"}, idToken(noon, nil)), "no key"},
		{"an unknown critical header", sign(t, key, map[string]any{"alg": "RS256", "kid": "r", "crit": []string{"x"}, "x": 1}, idToken(noon, nil)), "the token"},
		{"claims of one, signature of another", header + "." + encoded([]byte(`{"iss":"`+cognito+`","aud":"`+clientID+`","exp":1900000000}`)) + "." + signature, "no key"},
		{"no signature", header + "." + claims + ".", "the token"},
		{"another issuer", changed(map[string]any{"iss": "https://evil.example"}), `issued by "https://evil.example"`},
		{"the issuer with a slash", changed(map[string]any{"iss": cognito + "/"}), "issued by"},
		{"no issuer", changed(map[string]any{"iss": nil}), "issued by"},
		{"another audience", changed(map[string]any{"aud": "someone"}), "not meant for this API"},
		{"another audience, and our client id", changed(map[string]any{"aud": "someone", "client_id": clientID}), "not meant for this API"},
		{"no audience at all", changed(map[string]any{"aud": nil}), "not meant for this API"},
		{"an empty audience, and our client id", changed(map[string]any{"aud": []string{}, "client_id": clientID}), "not meant for this API"},
		{"expired", changed(map[string]any{"exp": noon.Unix()}), "has expired"},
		{"no end", changed(map[string]any{"exp": nil}), "has no exp"},
		{"an end that is text", changed(map[string]any{"exp": "1900000000"}), "has no exp"},
		{"an end beyond time", changed(map[string]any{"exp": 1e300}), "has no exp"},
		{"not yet valid", changed(map[string]any{"nbf": noon.Unix() + 61}), "not valid yet"},
		{"issued in the future", changed(map[string]any{"iat": noon.Unix() + 61}), "issued in the future"},
		{"too long", changed(map[string]any{"groups": strings.Repeat("x", maxToken)}), "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := verifier(t, newIssuer(map[string]any{"r": key}), atNoon)
			claims, err := j.Verify(t.Context(), tt.token)
			if !errors.Is(err, iot.ErrDenied) || claims != nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("claims %v, error %v", claims, err)
			}
			if tt.token != "" && strings.Contains(err.Error(), tt.token) {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for issuer, ok := range map[string]bool{
		cognito: true, "http://localhost:8081/realms/x": true, "http://127.0.0.1:5556/dex": true, "http://[::1]:5556": true,
		"": false, "cognito": false, "http://keycloak.example": false, "http://localhost.evil.example": false, "ftp://localhost": false,
		"https://user@host": false, "https://host?q": false, "https://": false, "https://host\n": false,
	} {
		_, err := NewJWT(JWTConfig{Issuer: issuer, Audiences: []string{"a"}})
		if ok != (err == nil) || err != nil && !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
	for _, audiences := range [][]string{nil, {""}, {"a", ""}} {
		if _, err := NewJWT(JWTConfig{Issuer: cognito, Audiences: audiences}); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("audiences %q: %v", audiences, err)
		}
	}
}

// TestKeysAreFetchedWhenNeeded follows an issuer through its days. The bubble's
// clock is the verifier's.
func TestKeysAreFetchedWhenNeeded(t *testing.T) {
	first, second := newRSA(t), newRSA(t)
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(map[string]any{"first": first})
		j := verifier(t, i, nil)
		token := func(kid string) string {
			key := first
			if kid != "first" {
				key = second
			}
			return sign(t, key, rs256(kid), idToken(time.Now(), nil))
		}
		wants := func(what, kid string, want error, fetches int) {
			t.Helper()
			_, err := j.Verify(t.Context(), token(kid))
			synctest.Wait() // for a fetch in the background
			if !errors.Is(err, want) || i.asked(jwksPath) != fetches {
				t.Fatalf("%s: %v, after %d fetches, want %v after %d", what, err, i.asked(jwksPath), want, fetches)
			}
		}
		if n := len(i.requests); n != 0 {
			t.Fatalf("%d requests before the first token", n)
		}
		wants("the first token", "first", nil, 1)
		wants("the next", "first", nil, 1)
		for n := range 100 {
			wants("an invented key", fmt.Sprintf("invented %d", n), iot.ErrDenied, 1)
		}
		time.Sleep(fetchPause)
		i.set(func() { i.keys["second"] = second })
		wants("a key that is new", "second", nil, 2)
		wants("the old one beside it", "first", nil, 2)

		i.set(func() { delete(i.keys, "first") })
		time.Sleep(refreshAfter + time.Second)
		wants("a key that was withdrawn unknown to us", "first", nil, 3)
		time.Sleep(fetchPause)
		wants("a key that was withdrawn", "first", iot.ErrDenied, 4)

		i.set(func() { i.down = true })
		time.Sleep(refreshAfter + time.Second)
		wants("a known key while the issuer is down", "second", nil, 4)
		wants("an unknown one", "first", iot.ErrOverloaded, 4)
		if n := i.asked(discoveryPath); n != 5 {
			t.Errorf("%d attempts while the issuer is down, want one", n-4)
		}
		i.set(func() { i.down, i.keys["third"] = false, second })
		time.Sleep(fetchPause)
		wants("a key of the issuer's return", "third", nil, 5)
	})
}

func TestAnIssuerThatWasNeverReached(t *testing.T) {
	key := newRSA(t)
	for name, change := range map[string]func(*issuer){
		"it is down":                        func(i *issuer) { i.down = true },
		"it calls itself otherwise":         func(i *issuer) { i.url, i.jwksURI = "https://evil.example", "https://evil.example"+jwksPath },
		"its keys come without encryption":  func(i *issuer) { i.jwksURI = "http://keys.example/jwks" },
		"it leads away from encryption":     func(i *issuer) { i.jwksURI = cognito + "/elsewhere" },
		"it has no key for signatures":      func(i *issuer) { i.keys = nil },
		"its keys are no document":          func(i *issuer) { i.jwksURI = "https://[" },
		"it publishes its description only": func(i *issuer) { i.jwksURI = cognito + "/.well-known/openid-configuration" },
	} {
		i := newIssuer(map[string]any{"r": key})
		change(i)
		if claims, err := verifier(t, i, atNoon).Verify(t.Context(), sign(t, key, rs256("r"), idToken(noon, nil))); !errors.Is(err, iot.ErrOverloaded) || claims != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIssuersKeepTheirKeysApart(t *testing.T) {
	key := newRSA(t)
	i := newIssuer(map[string]any{"r": key})
	issuers := NewIssuers(IssuersConfig{HTTPClient: &http.Client{Transport: i}, Now: atNoon})
	token := sign(t, key, rs256("r"), idToken(noon, nil))
	verify := func(issuer string, audiences ...string) error {
		_, err := issuers.VerifyJWT(t.Context(), issuer, audiences, token)
		return err
	}
	for n := range 3 {
		if err := verify(cognito, clientID); err != nil || i.asked(jwksPath) != 1 {
			t.Fatalf("call %d: %v, %d fetches", n, err, i.asked(jwksPath))
		}
	}
	if err := verify(cognito, "another API's"); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("the audience of another API: %v", err)
	}
	if err := verify("http://evil.example", clientID); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("an issuer without encryption: %v", err)
	}
	for n := range 2 * maxIssuers {
		if err := verify(fmt.Sprintf("https://issuer-%d.example", n), clientID); !errors.Is(err, iot.ErrDenied) {
			t.Fatal(err)
		}
	}
	if n := len(issuers.issuer); n != maxIssuers {
		t.Errorf("%d issuers are kept", n)
	}
	if err := verify(cognito, clientID); err != nil || i.asked(jwksPath) != 2 {
		t.Errorf("an issuer that was forgotten: %v, %d fetches", err, i.asked(jwksPath))
	}
}

// FuzzVerify checks that the only claims which ever come out are those that the
// issuer's key signed, that every refusal is one, and that none repeats the token.
func FuzzVerify(f *testing.F) {
	key, strange := newEC(f), newEC(f)
	es256 := map[string]any{"alg": "ES256", "kid": "e"}
	good := sign(f, key, es256, idToken(noon, nil))
	f.Add(good)
	f.Add(good + ".")
	f.Add(good[:len(good)-2])
	f.Add(sign(f, strange, es256, idToken(noon, nil)))
	f.Add(sign(f, nil, map[string]any{"alg": "none"}, idToken(noon, nil)))
	f.Add(`{"payload":"e30","signatures":[]}`)
	j := verifier(f, newIssuer(map[string]any{"e": key}), atNoon)
	signed, err := j.Verify(f.Context(), good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := j.Verify(t.Context(), token)
		if err == nil && reflect.DeepEqual(claims, signed) {
			return // base64 may spell the last bits of a signature in several ways
		}
		if !errors.Is(err, iot.ErrDenied) || claims != nil {
			t.Fatalf("claims %v, error %v", claims, err)
		}
		if len(token) > 80 && strings.Contains(err.Error(), token) {
			t.Errorf("the error has the token: %v", err)
		}
	})
}

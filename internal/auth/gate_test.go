package auth

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

var accessKey = sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

func signatures(t testing.TB) *IAM {
	t.Helper()
	i, err := NewIAM(IAMConfig{
		Region: "us-east-1", Now: atNoon,
		Secret: func(id string) (string, bool) { return accessKey.SecretAccessKey, id == accessKey.AccessKeyID },
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// received is a request as a server gets it, from one that a client is to send.
func received(t testing.TB, sent *http.Request) *http.Request {
	t.Helper()
	var wire strings.Builder
	if err := sent.Write(&wire); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire.String())))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSignaturesOfRequests(t *testing.T) {
	signedFor := func(c sigv4.Credentials, service, region string, at time.Time) *http.Request {
		r := get(t, "/prod/iotdata?device_id=a%2Fb&limit=3")
		sigv4.Sign(r, nil, c, service, region, at)
		return r
	}
	presigned := func(c sigv4.Credentials, service string, at time.Time) *http.Request {
		r := get(t, "/prod?device=a+b")
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		sigv4.Presign(r, c, service, "us-east-1", at, 5*time.Minute)
		return r
	}
	appended := func(r *http.Request, parameter string) *http.Request {
		r.URL.RawQuery += parameter
		return r
	}
	session := accessKey
	session.SessionToken = "FwoGZXIvYXdzEXAMPLE//token+="
	token := "&X-Amz-Security-Token=" + url.QueryEscape(session.SessionToken)
	wrong := accessKey
	wrong.SecretAccessKey += "?"
	unknown := accessKey
	unknown.AccessKeyID = "AKIAOTHER"
	changed := signedFor(accessKey, "execute-api", "us-east-1", noon)
	changed.URL.RawQuery = "device_id=other"
	for _, tt := range []struct {
		name string
		r    *http.Request
		says string // "" is good
	}{
		{"in the header", signedFor(accessKey, "execute-api", "us-east-1", noon), ""},
		{"in the query of an upgrade", presigned(accessKey, "execute-api", noon.Add(-4*time.Minute)), ""},
		{"with a session token that is signed", presigned(session, "execute-api", noon), ""},
		{"with a session token behind the signature", appended(presigned(accessKey, "execute-api", noon), token), ""},
		{"with another parameter behind the signature", appended(presigned(accessKey, "execute-api", noon), "&device=c"), "SignatureDoesNotMatch"},
		{"with both behind it", appended(presigned(accessKey, "execute-api", noon), token+"&device=c"), "SignatureDoesNotMatch"},
		{"of a wrong secret", signedFor(wrong, "execute-api", "us-east-1", noon), "SignatureDoesNotMatch"},
		{"of an unknown key", signedFor(unknown, "execute-api", "us-east-1", noon), "InvalidClientTokenId"},
		{"of another query", changed, "SignatureDoesNotMatch"},
		{"for another service", signedFor(accessKey, "iot", "us-east-1", noon), "sign it for execute-api in us-east-1"},
		{"for another region", signedFor(accessKey, "execute-api", "eu-west-1", noon), "sign it for execute-api in us-east-1"},
		{"of an hour ago", signedFor(accessKey, "execute-api", "us-east-1", noon.Add(-time.Hour)), "RequestExpired"},
		{"in a URL that has expired", presigned(accessKey, "execute-api", noon.Add(-6*time.Minute)), "RequestExpired"},
		{"that is missing", get(t, "/prod"), "MissingAuthenticationToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := signatures(t).VerifyIAM(received(t, tt.r), nil)
			if tt.says == "" {
				if err != nil || key != accessKey.AccessKeyID {
					t.Errorf("%q, %v", key, err)
				}
				return
			}
			if !errors.Is(err, iot.ErrDenied) || key != "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q, %v", key, err)
			}
		})
	}
}

func TestSignatureOfABody(t *testing.T) {
	body := []byte(`{"n":1}`)
	r := httptest.NewRequest("POST", "http://127.0.0.1:8080/a1b2c3/prod/items", nil)
	sigv4.Sign(r, body, accessKey, "execute-api", "us-east-1", noon)
	if _, err := signatures(t).VerifyIAM(r, body); err != nil {
		t.Error(err)
	}
	if _, err := signatures(t).VerifyIAM(r, []byte(`{"n":2}`)); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("another body: %v", err)
	}
}

// TestGate sends each kind of visitor to each kind of gateway, through both doors.
func TestGate(t *testing.T) {
	key := newRSA(t)
	up, down := newIssuer(map[string]any{"r": key}), newIssuer(nil)
	down.down = true
	good, expired := sign(t, key, rs256("r"), idToken(noon, nil)), sign(t, key, rs256("r"), idToken(noon.Add(-2*time.Hour), nil))
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	signedBy := func(service string) func(*http.Request) {
		return func(r *http.Request) { sigv4.Sign(r, nil, accessKey, service, "us-east-1", noon) }
	}
	parameter := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = "access_token=" + token }
	}
	const letIn = ""
	visitors := []struct {
		name                           string
		change                         func(*http.Request)
		operatorOnly, tokens, noIssuer string // the reason of the refusal, by kind of gateway
	}{
		{"nobody", func(*http.Request) {}, ReasonMissing, ReasonMissing, ReasonMissing},
		{"the operator", with("Cookie", "operator=yes"), letIn, letIn, letIn},
		{"the operator with an expired token", func(r *http.Request) {
			r.Header.Set("Cookie", "operator=yes")
			parameter(expired)(r)
		}, letIn, letIn, letIn},
		{"a signer", signedBy("execute-api"), letIn, letIn, letIn},
		{"a signer for another service", signedBy("iot"), ReasonSignature, ReasonSignature, ReasonSignature},
		{"a bearer", with("Authorization", "bearer "+good), ReasonMissing, letIn, ReasonIssuer},
		{"a page with the token in the query", parameter(good), ReasonMissing, letIn, ReasonIssuer},
		{"a page with the token in the subprotocols", with("Sec-WebSocket-Protocol", "access_token, "+good), ReasonMissing, letIn, ReasonIssuer},
		{"a token among the subprotocols without its name", with("Sec-WebSocket-Protocol", good), ReasonMissing, ReasonMissing, ReasonMissing},
		{"a bearer of an expired token", with("Authorization", "Bearer "+expired), ReasonMissing, ReasonToken, ReasonToken},
		{"a bearer of nothing", with("Authorization", "Bearer"), ReasonMissing, ReasonMissing, ReasonMissing},
		{"another scheme", with("Authorization", "Basic "+good), ReasonMissing, ReasonMissing, ReasonMissing},
		{"an unreadable signature", with("Authorization", "AWS4-HMAC-SHA256 Credential=x"), ReasonSignature, ReasonSignature, ReasonSignature},
	}
	gates := []struct {
		name string
		cfg  GateConfig
	}{
		{"operator", GateConfig{}},
		{"token", GateConfig{JWT: verifier(t, up, atNoon)}},
		{"token, issuer down", GateConfig{JWT: verifier(t, down, atNoon)}},
		{"open", GateConfig{Open: true}},
	}
	for _, g := range gates {
		var reason string
		g.cfg.IAM = signatures(t)
		g.cfg.Operator = func(r *http.Request) bool { _, err := r.Cookie("operator"); return err == nil }
		g.cfg.Refused = func(why string) { reason = why }
		gate, err := NewGate(g.cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range visitors {
			t.Run(g.name+"/"+v.name, func(t *testing.T) {
				want := map[string]string{"operator": v.operatorOnly, "token": v.tokens, "token, issuer down": v.noIssuer, "open": letIn}[g.name]
				r := get(t, "/prod")
				v.change(r)
				reason = letIn
				err := gate.Authorize(received(t, r))
				if reason != want || (err == nil) != (want == letIn) {
					t.Fatalf("reason %q, want %q: %v", reason, want, err)
				}
				kind := iot.ErrDenied
				if want == ReasonIssuer {
					kind = iot.ErrOverloaded
				}
				if err != nil && (!errors.Is(err, kind) || strings.Contains(err.Error(), good) || strings.Contains(err.Error(), expired)) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
	if _, err := NewGate(GateConfig{Operator: func(*http.Request) bool { return false }, IAM: signatures(t), JWT: verifier(t, up, atNoon), Open: true}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("an open gate with an issuer: %v", err)
	}
}

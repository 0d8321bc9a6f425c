package sigv4

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What was derived from a secret is worth nothing once the secret is another.
func TestVerifyTakesTheSecretOfNow(t *testing.T) {
	secret := "first"
	v := &Verifier{Secret: func(string) (string, bool) { return secret, true }, Now: func() time.Time { return signedAt }}
	signed := func(secret string) *http.Request {
		r := httptest.NewRequest("GET", "/things", nil)
		Sign(r, nil, Credentials{AccessKeyID: "AKID", SecretAccessKey: secret}, "iot", "us-east-1", signedAt)
		return r
	}
	for range 2 {
		if _, err := v.Verify(signed("first"), nil); err != nil {
			t.Fatal(err)
		}
	}
	secret = "second"
	if _, err := v.Verify(signed("first"), nil); !isCode(err, CodeMismatch) {
		t.Errorf("signed with the secret of before: %v", err)
	}
	if _, err := v.Verify(signed("second"), nil); err != nil {
		t.Errorf("signed with the secret of now: %v", err)
	}
}

func isCode(err error, code string) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Code == code
}

func TestDerivedKeysAreBounded(t *testing.T) {
	var d derivedKeys
	for i := range 3 * maxDerived {
		scope := Scope{Region: fmt.Sprint(i)}
		d.put(scope, "secret", []byte{1})
		if _, ok := d.get(scope, "secret"); !ok || len(d.keys) > maxDerived {
			t.Fatalf("key %d is kept: %v, of %d", i, ok, len(d.keys))
		}
	}
}

// Package sigv4 signs and verifies requests with AWS Signature Version 4.
package sigv4

import (
	"net/http"
	"time"
)

// Credentials are an access key.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// Scope is the credential scope of a request.
type Scope struct{ AccessKeyID, Date, Region, Service string }

// ReadScope reads the scope from the Authorization header or the presigned
// query, without verifying anything.
func ReadScope(r *http.Request) (Scope, bool) { return Scope{}, false }

// Sign adds X-Amz-Date, X-Amz-Security-Token when there is one, and Authorization.
func Sign(r *http.Request, body []byte, c Credentials, service, region string, at time.Time) {}

// Verifier checks signatures.
type Verifier struct {
	Secret func(accessKeyID string) (secret string, ok bool)
	Now    func() time.Time // nil: time.Now
}

// Verify checks the signature of r; the error is an [*Error].
func (v *Verifier) Verify(r *http.Request, body []byte) (Scope, error) {
	return Scope{}, &Error{Code: "MissingAuthenticationToken", Message: "not built yet"}
}

// Error is a refused signature, under the name that AWS gives it.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

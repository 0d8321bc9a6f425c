// Package sigv4 signs HTTP requests with AWS Signature Version 4 and verifies
// such signatures, in the Authorization header or in the query of a presigned
// URL.
//
// It knows neither users nor permissions: the [Verifier] asks for the secret of
// an access key and says whether the request was signed with it. Signatures of
// single chunks (STREAMING-…) and the asymmetric version 4A are refused. The
// names of a refusal are those of AWS's common errors.
//
// All of it may be used by any number of goroutines at once.
//
// Spec: "AWS Signature Version 4 for API requests" of the AWS IAM user guide.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	algorithm       = "AWS4-HMAC-SHA256"
	terminator      = "aws4_request"
	timeFormat      = "20060102T150405Z"
	dateFormat      = "20060102"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// Credentials are an access key. SessionToken is "" for a key that does not expire.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// Scope is what a signature is good for: one day (Date, as 20261123), region and service.
type Scope struct{ AccessKeyID, Date, Region, Service string }

// String is the scope without the access key, as it is signed.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// credential is the scope as a request carries it.
func (s Scope) credential() string { return s.AccessKeyID + "/" + s.String() }

// parseCredential reads AKID/date/region/service/aws4_request.
func parseCredential(text string) (Scope, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 5 || parts[4] != terminator {
		return Scope{}, false
	}
	for _, part := range parts[:4] {
		if part == "" || strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return Scope{}, false
		}
	}
	return Scope{AccessKeyID: parts[0], Date: parts[1], Region: parts[2], Service: parts[3]}, true
}

// ReadScope reads the scope from the Authorization header or the presigned
// query without verifying anything; ok is false when there is none.
func ReadScope(r *http.Request) (scope Scope, ok bool) {
	s, err := readSignature(r)
	return s.scope, err == nil || s.scope != (Scope{})
}

// Sign signs r in its Authorization header, with at as the time of signing. It
// sets X-Amz-Date, and X-Amz-Security-Token when c has a session token, and for
// S3 X-Amz-Content-Sha256. body is what r is going to send; r.Body is not read.
// Changing the method, URL, host, content type or an X-Amz-… header afterwards
// voids the signature.
func Sign(r *http.Request, body []byte, c Credentials, service, region string, at time.Time) {
	r.Header.Set("X-Amz-Date", at.UTC().Format(timeFormat))
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	payload := hashHex(body)
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	if stated := r.Header.Get("X-Amz-Content-Sha256"); stated != "" {
		payload = stated // UNSIGNED-PAYLOAD at the caller's wish
	}
	s := newSignature(c, service, region, at)
	for name := range r.Header {
		if name = strings.ToLower(name); name == "content-type" || mustBeSigned(name) {
			s.headers = append(s.headers, name)
		}
	}
	slices.Sort(s.headers)
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s, SignedHeaders=%s, Signature=%s",
		algorithm, s.scope.credential(), strings.Join(s.headers, ";"), s.compute(r, payload, s.scope.key(c.SecretAccessKey))))
}

// Presign signs r, which must have no body, in its query: until at+expires
// whoever has the URL may use it. Only the host header is signed.
func Presign(r *http.Request, c Credentials, service, region string, at time.Time, expires time.Duration) {
	s := newSignature(c, service, region, at)
	s.presigned = true
	query := r.URL.Query()
	query.Set("X-Amz-Algorithm", algorithm)
	query.Set("X-Amz-Credential", s.scope.credential())
	query.Set("X-Amz-Date", at.UTC().Format(timeFormat))
	query.Set("X-Amz-Expires", fmt.Sprint(int(expires/time.Second)))
	query.Set("X-Amz-SignedHeaders", strings.Join(s.headers, ";"))
	if c.SessionToken != "" {
		query.Set("X-Amz-Security-Token", c.SessionToken)
	}
	query.Del("X-Amz-Signature")
	r.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // as AWS reads it
	payload := hashHex(nil)
	if service == "s3" {
		payload = unsignedPayload
	}
	r.URL.RawQuery += "&X-Amz-Signature=" + s.compute(r, payload, s.scope.key(c.SecretAccessKey))
}

// signature is what a request says about its signature.
type signature struct {
	scope     Scope
	presigned bool
	at        time.Time
	expires   time.Duration // of a presigned URL; 0 when it does not say
	headers   []string      // signed ones: lower case, sorted
	hex       string
}

func newSignature(c Credentials, service, region string, at time.Time) signature {
	return signature{
		scope:   Scope{AccessKeyID: c.AccessKeyID, Date: at.UTC().Format(dateFormat), Region: region, Service: service},
		at:      at,
		headers: []string{"host"},
	}
}

// compute returns the signature of r in hexadecimal, by the scope's key.
func (s *signature) compute(r *http.Request, payload string, key []byte) string {
	text := strings.Join([]string{
		algorithm,
		s.at.UTC().Format(timeFormat),
		s.scope.String(),
		hashHex([]byte(s.canonicalRequest(r, payload))),
	}, "\n")
	return hex.EncodeToString(authenticate(key, text))
}

// key derives the key that signs within the scope from the access key's secret.
func (s Scope) key(secret string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, terminator} {
		key = authenticate(key, part)
	}
	return key
}

// authenticate returns the HMAC of text.
func authenticate(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text)) // never fails
	return mac.Sum(nil)
}

func hashHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// mustBeSigned reports whether a header, in lower case, changes what a request
// means to AWS. The trace id is left out because proxies add it.
func mustBeSigned(name string) bool {
	return strings.HasPrefix(name, "x-amz") && name != "x-amzn-trace-id"
}

package sigv4

import (
	"crypto/hmac"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits on time.
const (
	maxSkew    = 15 * time.Minute   // between the signer's clock and ours
	maxExpires = 7 * 24 * time.Hour // of a presigned URL
)

// Verifier checks signatures. Its fields do not change once it is in use, and it is
// not copied then.
type Verifier struct {
	// Secret returns the secret of an access key; ok is false when there is no
	// such key.
	Secret func(accessKeyID string) (secret string, ok bool)
	Now    func() time.Time // nil: time.Now

	derived derivedKeys
}

// Error says why a signature is refused. Code is the name that AWS's query
// protocols give it; other protocols have names of their own for some.
type Error struct{ Code, Message string }

// The codes of an Error.
const (
	CodeMissing       = "MissingAuthenticationToken"
	CodeIncomplete    = "IncompleteSignature"
	CodeUnknownKey    = "InvalidClientTokenId"
	CodeMismatch      = "SignatureDoesNotMatch"
	CodeExpired       = "RequestExpired"
	CodeWrongChecksum = "XAmzContentSHA256Mismatch"
)

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Verify checks that r, with body as its body, was signed with the secret of
// the access key it names, at most 15 minutes ago or, for a presigned URL,
// within the time that it gives itself. Host and every X-Amz header must be
// signed; a body may be left out only by a signed x-amz-content-sha256:
// UNSIGNED-PAYLOAD, or in a presigned URL of S3. The session token is not looked
// at: Secret decides whether the key is good. A refusal is an [*Error].
func (v *Verifier) Verify(r *http.Request, body []byte) (Scope, error) {
	s, err := readSignature(r)
	if err != nil {
		return Scope{}, err
	}
	if err := v.verify(r, body, &s); err != nil {
		return Scope{}, err
	}
	return s.scope, nil
}

func (v *Verifier) verify(r *http.Request, body []byte, s *signature) error {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	if err := s.checkTime(now()); err != nil {
		return err
	}
	if err := s.checkHeaders(r); err != nil {
		return err
	}
	payload, err := s.payload(r, body)
	if err != nil {
		return err
	}
	secret, ok := v.Secret(s.scope.AccessKeyID)
	if !ok {
		return refuse(CodeUnknownKey, "The security token included in the request is invalid: there is no access key %q.", s.scope.AccessKeyID)
	}
	key, kept := v.derived.get(s.scope, secret)
	if !kept {
		key = s.scope.key(secret)
	}
	if !hmac.Equal([]byte(s.compute(r, payload, key)), []byte(s.hex)) {
		return refuse(CodeMismatch, "The request signature we calculated does not match the signature you provided. Check your secret access key and signing method.")
	}
	if !kept {
		v.derived.put(s.scope, secret, key)
	}
	return nil
}

// checkTime refuses what was signed too long ago, or in the future.
func (s *signature) checkTime(now time.Time) error {
	good := maxSkew
	if s.expires > 0 {
		good = s.expires
	}
	switch age := now.Sub(s.at); {
	case age > good:
		return refuse(CodeExpired, "Signature expired: it was made at %s and was good for %s; it is now %s.",
			s.at.UTC().Format(timeFormat), good, now.UTC().Format(timeFormat))
	case age < -maxSkew:
		return refuse(CodeExpired, "Signature not yet current: it was made at %s, and it is now %s; set the clock.",
			s.at.UTC().Format(timeFormat), now.UTC().Format(timeFormat))
	}
	return nil
}

// checkHeaders refuses a request in which someone may have changed a header
// that matters: those have to be signed.
func (s *signature) checkHeaders(r *http.Request) error {
	if !slices.Contains(s.headers, "host") {
		return refuse(CodeMismatch, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if name = strings.ToLower(name); mustBeSigned(name) && !slices.Contains(s.headers, name) {
			return refuse(CodeMismatch, "There were headers present in the request which were not signed: %s.", name)
		}
	}
	return nil
}

// payload returns the hash of the body as it was signed.
func (s *signature) payload(r *http.Request, body []byte) (string, error) {
	sum := hashHex(body)
	switch stated := r.Header.Get("X-Amz-Content-Sha256"); {
	case stated == "" && s.presigned && s.scope.Service == "s3", stated == unsignedPayload:
		return unsignedPayload, nil
	case stated == "", stated == sum:
		return sum, nil
	case strings.HasPrefix(stated, "STREAMING-"):
		return "", refuse(CodeMismatch, "Signatures of single chunks (%s) are not supported; sign the whole payload.", stated)
	default:
		return "", refuse(CodeWrongChecksum, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
}

// readSignature finds the signature of r. With an error the scope may be set
// all the same: enough to route the request to whoever refuses it.
func readSignature(r *http.Request) (signature, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return readHeader(r, header)
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") || strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		return readQuery(r)
	}
	return signature{}, refuse(CodeMissing, "Missing Authentication Token: the request is not signed.")
}

// readHeader reads AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=….
func readHeader(r *http.Request, header string) (signature, error) {
	fields, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		scheme, _, _ := strings.Cut(header, " ")
		return signature{}, refuse(CodeMissing, "Authorization must be of the scheme %s, not %.40q.", algorithm, scheme)
	}
	var s signature
	var credential, headers string
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			headers = value
		case "Signature":
			s.hex = value
		}
	}
	stamp := r.Header.Get("X-Amz-Date")
	if stamp == "" {
		stamp = dateHeader(r)
	}
	return s, s.complete(credential, headers, stamp)
}

// dateHeader returns the Date header in the form of X-Amz-Date, or "". Python
// writes its zone as -0000, not as GMT.
func dateHeader(r *http.Request) string {
	for _, layout := range []string{http.TimeFormat, time.RFC1123Z} {
		if at, err := time.Parse(layout, r.Header.Get("Date")); err == nil {
			return at.UTC().Format(timeFormat)
		}
	}
	return ""
}

// readQuery reads the parameters of a presigned URL.
func readQuery(r *http.Request) (signature, error) {
	query := r.URL.Query()
	s := signature{presigned: true, hex: query.Get("X-Amz-Signature")}
	if err := s.complete(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Date")); err != nil {
		return s, err
	}
	if got := query.Get("X-Amz-Algorithm"); got != algorithm {
		return s, refuse(CodeIncomplete, "X-Amz-Algorithm must be %s, not %.40q.", algorithm, got)
	}
	if text := query.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > int(maxExpires/time.Second) {
			return s, refuse(CodeIncomplete, "X-Amz-Expires must be between 1 and %d seconds.", int(maxExpires/time.Second))
		}
		s.expires = time.Duration(seconds) * time.Second
	}
	return s, nil
}

// complete sets the parts that both forms have in common.
func (s *signature) complete(credential, headers, stamp string) error {
	var ok bool
	if s.scope, ok = parseCredential(credential); !ok {
		return refuse(CodeIncomplete, "Credential must be ACCESS_KEY/DATE/REGION/SERVICE/%s, not %.80q.", terminator, credential)
	}
	var err error
	if s.at, err = time.Parse(timeFormat, stamp); err != nil {
		return refuse(CodeIncomplete, "X-Amz-Date must be given as 20061231T235959Z, not %.40q.", stamp)
	}
	if s.scope.Date != s.at.Format(dateFormat) {
		return refuse(CodeMismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: %s is not in %s.", s.scope.Date, stamp)
	}
	s.headers = strings.Split(headers, ";")
	for i, name := range s.headers {
		if !isHeaderName(name) || i > 0 && s.headers[i-1] >= name {
			return refuse(CodeIncomplete, "SignedHeaders must be lower-case header names, sorted and separated by semicolons, not %.80q.", headers)
		}
	}
	if len(s.hex) != 64 {
		return refuse(CodeIncomplete, "Signature must be 64 hexadecimal digits.")
	}
	return nil
}

func isHeaderName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
}

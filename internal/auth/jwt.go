package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxToken bounds a token, in bytes; Cognito's are about 1 KiB.
	maxToken = 16 << 10
	// clockSkew is how far the issuer's clock may be ahead of ours. A token's end
	// is taken as it is.
	clockSkew = time.Minute
)

// algorithms returns the signatures that are taken: those with RSA (PKCS #1) and
// ECDSA keys. A key that both sides know (HS256) would let everyone who can read
// the issuer's published keys make tokens.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

// JWTConfig says which tokens are good. Issuer and Audiences are needed.
type JWTConfig struct {
	// Issuer is the URL that a token names as its iss, as it stands there; keys
	// are found through its /.well-known/openid-configuration. It is https, or
	// http on a loopback host.
	Issuer    string
	Audiences []string // a token must be for one of them

	HTTPClient *http.Client     // nil: one that follows redirects to https only
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil discards
}

// JWT verifies tokens of one issuer. Make one with [NewJWT].
type JWT struct {
	audiences []string
	keys      *keySet
}

// NewJWT returns the verifier of cfg. It asks the issuer for nothing before the
// first token.
func NewJWT(cfg JWTConfig) (*JWT, error) {
	if err := checkIssuer(cfg.Issuer); err != nil {
		return nil, err
	}
	if len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, "") {
		return nil, fmt.Errorf("an issuer's tokens need an audience, such as a client id, or tokens made for other applications would do: %w", iot.ErrInvalid)
	}
	return &JWT{cfg.Audiences, newKeySet(cfg.Issuer, cfg.HTTPClient, cfg.Now, cfg.Log)}, nil
}

// Verify checks a token in compact form: its signature by a key of the issuer,
// iss, aud, exp, and nbf and iat where it has them. A token without any aud is for
// its client_id, as Cognito's access tokens are. It returns the claims, numbers as
// [json.Number].
//
// The error says what is wrong and wraps [iot.ErrDenied], or [iot.ErrOverloaded]
// when the issuer's keys cannot be had now. It never contains the token.
func (j *JWT) Verify(ctx context.Context, token string) (map[string]any, error) {
	if len(token) > maxToken {
		return nil, refused("is longer than %d bytes", maxToken)
	}
	jws, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		if alg := new(jose.ErrUnexpectedSignatureAlgorithm); errors.As(err, &alg) {
			return nil, refused("is signed with %.20q: only %s are taken", string(alg.Got), algorithms())
		}
		return nil, refused("is not a signed JWT in compact form (RFC 7515)")
	}
	// What the claims refuse needs no key: only tokens that would be good reach
	// the issuer.
	claims, err := readClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, err
	}
	if err := j.check(claims); err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Header
	keys, err := j.keys.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if _, err := jws.Verify(key); err == nil {
			return claims, nil
		}
	}
	return nil, refused("has a signature that no key of %s made", j.keys.issuer)
}

func readClaims(payload []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil || claims == nil {
		return nil, refused("has claims that are no JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refused("has something behind its claims")
	}
	return claims, nil
}

// check looks at the registered claims (RFC 7519 §4.1).
func (j *JWT) check(claims map[string]any) error {
	if issuer, _ := claims["iss"].(string); issuer != j.keys.issuer {
		return refused("was issued by %.200q, not by %s", issuer, j.keys.issuer)
	}
	if !j.meant(claims) {
		return refused("is not meant for this API: neither aud nor, without one, client_id is one of %q", j.audiences)
	}
	now := j.keys.now()
	for _, claim := range []struct {
		name   string
		needed bool
		bad    func(at time.Time) bool
		what   string
	}{
		{"exp", true, func(at time.Time) bool { return !now.Before(at) }, "has expired"},
		{"nbf", false, func(at time.Time) bool { return at.After(now.Add(clockSkew)) }, "is not valid yet"},
		{"iat", false, func(at time.Time) bool { return at.After(now.Add(clockSkew)) }, "was issued in the future"},
	} {
		value, present := claims[claim.name]
		if !present && !claim.needed {
			continue
		}
		at, ok := moment(value)
		if !ok {
			return refused("has no %s in seconds since the epoch", claim.name)
		}
		if claim.bad(at) {
			return refused("%s: its %s is %s, and it is now %s", claim.what, claim.name, at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// meant reports whether the token is for one of the audiences.
func (j *JWT) meant(claims map[string]any) bool {
	audience, present := claims["aud"]
	if !present {
		audience = claims["client_id"]
	}
	list, ok := audience.([]any)
	if !ok {
		list = []any{audience}
	}
	return slices.ContainsFunc(list, func(one any) bool {
		name, ok := one.(string)
		return ok && slices.Contains(j.audiences, name)
	})
}

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253402300799

// moment reads a NumericDate, which may have a fraction.
func moment(claim any) (at time.Time, ok bool) {
	number, _ := claim.(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

func refused(format string, args ...any) error { return denied("the token "+format, args...) }

// denial is an [iot.ErrDenied] whose whole text is for the client.
type denial string

func (d denial) Error() string        { return string(d) }
func (d denial) Is(target error) bool { return target == iot.ErrDenied }

func denied(format string, args ...any) error { return denial(fmt.Sprintf(format, args...)) }

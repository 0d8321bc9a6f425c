package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// iamService is what requests to an API are signed for.
const iamService = "execute-api"

// IAMConfig says whose signatures are good. Region and Secret are needed.
type IAMConfig struct {
	Region string
	// Secret returns the secret of an access key; ok is false when there is none.
	Secret func(accessKeyID string) (secret string, ok bool)
	Now    func() time.Time // nil: time.Now
}

// IAM verifies requests that are signed with AWS Signature Version 4 for
// execute-api. Make one with [NewIAM].
type IAM struct {
	region   string
	verifier sigv4.Verifier
}

// NewIAM returns the verifier of cfg.
func NewIAM(cfg IAMConfig) (*IAM, error) {
	if cfg.Region == "" || cfg.Secret == nil {
		return nil, fmt.Errorf("auth: IAMConfig.Region and Secret are needed: %w", iot.ErrInvalid)
	}
	return &IAM{cfg.Region, sigv4.Verifier{Secret: cfg.Secret, Now: cfg.Now}}, nil
}

// VerifyIAM checks the signature of r, in its Authorization header or in its query
// (browsers open presigned wss URLs), with body as its body, and returns whose it
// is. The access keys here are permanent: an X-Amz-Security-Token grants nothing,
// and a presigned URL may have it signed, as AWS's SDKs do it, or added after
// signing, as some browser code does. The error says what is wrong and wraps
// [iot.ErrDenied].
func (i *IAM) VerifyIAM(r *http.Request, body []byte) (accessKey string, err error) {
	scope, err := i.verifier.Verify(r, body)
	if wrong := new(sigv4.Error); errors.As(err, &wrong) && wrong.Code == sigv4.CodeMismatch {
		if plain, ok := withoutSecurityToken(r); ok {
			scope, err = i.verifier.Verify(plain, body)
		}
	}
	if err != nil {
		return "", denied("%s", err)
	}
	if scope.Service != iamService || scope.Region != i.region {
		return "", denied("the request is signed for %.40q in %.40q: sign it for %s in %s", scope.Service, scope.Region, iamService, i.region)
	}
	return scope.AccessKeyID, nil
}

// withoutSecurityToken returns r as it was before a session token was added to its
// presigned query; ok is false when there is none.
func withoutSecurityToken(r *http.Request) (plain *http.Request, ok bool) {
	pairs := strings.Split(r.URL.RawQuery, "&")
	kept := slices.DeleteFunc(slices.Clone(pairs), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		return err == nil && name == "X-Amz-Security-Token"
	})
	if len(kept) == len(pairs) {
		return nil, false
	}
	plain = r.Clone(r.Context())
	plain.URL.RawQuery = strings.Join(kept, "&")
	path, _, _ := strings.Cut(r.RequestURI, "?")
	plain.RequestURI = path + "?" + plain.URL.RawQuery
	return plain, true
}

// signed reports whether r claims to be signed.
func signed(r *http.Request) bool {
	_, ok := sigv4.ReadScope(r)
	return ok || strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-")
}

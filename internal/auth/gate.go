package auth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Why a Gate refuses, as GateConfig.Refused is told.
const (
	ReasonMissing   = "missing"            // neither a token nor a signature
	ReasonToken     = "token"              // a token that is not good
	ReasonSignature = "signature"          // a signature that is not good
	ReasonIssuer    = "issuer_unavailable" // a token whose key cannot be fetched
)

// GateConfig says whom a gateway lets in. Operator and IAM are needed.
type GateConfig struct {
	Operator func(r *http.Request) bool // whether r is of the operator's session
	IAM      *IAM
	JWT      *JWT // nil: no token lets anyone in
	Open     bool // everyone is let in; not together with JWT

	Refused func(reason string) // is told of each refusal; may be nil
}

// Gate decides who may read from the gateway, through whichever door: the
// operator and who signs with the server's key always, a bearer of a good token
// when there is an issuer, and everyone when it is open. A connection that was let
// in stays when its token expires, as on API Gateway. Make one with [NewGate].
type Gate struct{ cfg GateConfig }

// NewGate returns the gate of cfg.
func NewGate(cfg GateConfig) (*Gate, error) {
	if cfg.Operator == nil || cfg.IAM == nil {
		return nil, fmt.Errorf("auth: GateConfig.Operator and IAM are needed: %w", iot.ErrInvalid)
	}
	if cfg.Open && cfg.JWT != nil {
		return nil, fmt.Errorf("auth: a gate that is open asks for no token: %w", iot.ErrInvalid)
	}
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	return &Gate{cfg}, nil
}

// Authorize returns nil for a request that may read. The error, whose text is for
// the client, wraps [iot.ErrDenied], or [iot.ErrOverloaded] when the issuer of the
// token cannot be asked for its keys now.
func (g *Gate) Authorize(r *http.Request) error {
	reason, err := g.decide(r)
	if err != nil {
		g.cfg.Refused(reason)
	}
	return err
}

func (g *Gate) decide(r *http.Request) (reason string, err error) {
	if g.cfg.Open || g.cfg.Operator(r) {
		return "", nil
	}
	if signed(r) {
		_, err := g.cfg.IAM.VerifyIAM(r, nil)
		return ReasonSignature, err
	}
	if g.cfg.JWT == nil {
		return ReasonMissing, denied("this gateway answers its operator only: open the link that fieldline login prints, sign the request with the access key of the data folder, or start the server with --jwt-issuer or --gateway-open")
	}
	token := token(r)
	if token == "" {
		return ReasonMissing, denied("a token of %s is needed, as Authorization: Bearer, as ?access_token= or as the subprotocol behind %s; or a signature (SigV4) with the server's access key", g.cfg.JWT.keys.issuer, Subprotocol)
	}
	_, err = g.cfg.JWT.Verify(r.Context(), token)
	if errors.Is(err, iot.ErrOverloaded) {
		return ReasonIssuer, err
	}
	return ReasonToken, err
}

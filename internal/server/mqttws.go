package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/auth"
	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// deviceGateway is what connections of MQTT over WebSocket are signed for.
const deviceGateway = "iotdevicegateway"

// mqttDoor lets in MQTT over WebSocket: who signs with the operator's access key,
// under the policy SignedMqtt, whatever else the gateway is open to.
type mqttDoor struct {
	*Server
	verifier sigv4.Verifier

	mu       sync.Mutex
	policied bool // the policy has been there since the server started
}

// mqttWebSocket answers GET /mqtt.
func (s *Server) mqttWebSocket() http.Handler {
	return &mqttDoor{Server: s, verifier: sigv4.Verifier{Secret: s.secret}}
}

// ServeHTTP implements [http.Handler].
func (d *mqttDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := d.admit(r)
	if err == nil {
		err = d.ensurePolicy()
	}
	if err != nil {
		refuseMQTT(w, err)
		return
	}
	d.broker.ServeWebSocket(w, r, broker.Peer{Principal: key, Policies: []string{SignedPolicy}})
}

// admit decides about a connection and returns the access key that it is signed
// with. The error, whose text is for the client, wraps [iot.ErrDenied] or
// [iot.ErrLimit].
func (d *mqttDoor) admit(r *http.Request) (key string, err error) {
	if origin := r.Header.Get("Origin"); !d.allows(origin, r.Host) {
		return "", fmt.Errorf("pages of %q may not connect (start the server with --allow-origin %s to let them): %w", origin, origin, iot.ErrDenied)
	}
	if err := d.gate.connects.Allow(r); err != nil {
		return "", err
	}
	scope, err := d.verifier.Verify(r, nil)
	switch wrong := (*sigv4.Error)(nil); {
	case errors.As(err, &wrong) && wrong.Code == sigv4.CodeMissing:
		d.gate.refused(auth.ReasonMissing)
		return "", fmt.Errorf("MQTT over WebSocket is signed in its query, for %s in %s, with the access key of the data folder: %w", deviceGateway, d.cfg.Account.Region, iot.ErrDenied)
	case err != nil:
		err = fmt.Errorf("%w: %w", err, iot.ErrDenied)
	case scope.Service != deviceGateway || scope.Region != d.cfg.Account.Region:
		err = fmt.Errorf("the request is signed for %.40q in %.40q: sign it for %s in %s: %w", scope.Service, scope.Region, deviceGateway, d.cfg.Account.Region, iot.ErrDenied)
	case scope.AccessKeyID == d.functionKey.AccessKeyID:
		err = fmt.Errorf("functions may not connect with MQTT: their access key is for iot-data's Publish, and a connection needs that of the data folder: %w", iot.ErrDenied)
	}
	if err != nil {
		d.gate.refused(auth.ReasonSignature)
	}
	return scope.AccessKeyID, err
}

// allows decides about an Origin header as the gateway's other WebSocket does; ""
// is a client that is no browser. Foreign Host headers have been refused.
func (d *mqttDoor) allows(origin, host string) bool {
	if origin == "" {
		return true
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, host) {
		return true
	}
	return d.cfg.allowOrigin(origin)
}

// ensurePolicy makes the clients' policy, which allows everything until its owner
// narrows it, when the first one connects.
func (d *mqttDoor) ensurePolicy() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.policied {
		return nil
	}
	err := ensurePolicy(d.store, SignedPolicy, policy.PlainDocument())
	d.policied = err == nil
	return err
}

// refuseMQTT answers a refusal as AWS IoT does.
func refuseMQTT(w http.ResponseWriter, err error) {
	status, name := http.StatusServiceUnavailable, "ServiceUnavailableException"
	switch {
	case errors.Is(err, iot.ErrDenied):
		status, name = http.StatusForbidden, "ForbiddenException"
	case errors.Is(err, iot.ErrLimit):
		status, name = http.StatusTooManyRequests, "ThrottlingException"
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-ErrorType", name)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": err.Error(), "traceId": uuid.NewString()}) // a client that has gone reads nothing
}

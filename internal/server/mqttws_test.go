package server

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/auth"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

func TestFunctionsMayNotOpenMQTTSockets(t *testing.T) {
	s := &Server{credentials: sigv4.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}, functionKey: newFunctionKey()}
	s.cfg.Account.Region = "us-east-1"
	var refused []string
	s.gate.refused = func(reason string) { refused = append(refused, reason) }
	var err error
	if s.gate.connects, err = auth.NewThrottle(auth.ThrottleConfig{Kind: "connect"}); err != nil {
		t.Fatal(err)
	}
	door := s.mqttWebSocket().(*mqttDoor)
	for _, key := range []sigv4.Credentials{s.credentials, s.functionKey} {
		r := httptest.NewRequest("GET", "/mqtt", nil)
		r.RequestURI = "" // a request to be sent
		sigv4.Presign(r, key, deviceGateway, "us-east-1", time.Now(), time.Minute)
		who, err := door.admit(r)
		if key == s.credentials && (err != nil || who != "AKIA") {
			t.Errorf("the operator is %q, %v", who, err)
		}
		if key == s.functionKey && (!errors.Is(err, iot.ErrDenied) || !strings.Contains(err.Error(), "functions may not connect with MQTT")) {
			t.Errorf("a function is let in: %v", err)
		}
	}
	if len(refused) != 1 || refused[0] != auth.ReasonSignature {
		t.Errorf("refusals are counted as %q", refused)
	}
}

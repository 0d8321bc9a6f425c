package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestConnackSaysWhatTheBrokerDoes(t *testing.T) {
	c := start(t, func(cfg *Config) { cfg.Limits.KeepAliveMax, cfg.Limits.SessionExpiry = 60, 10*time.Minute }).dial()
	got := c.connect(&mqtt.Connect{Version: mqtt.V5, CleanStart: true, KeepAlive: 600, SessionExpiry: 3600, HasUsername: true, Username: "?SDK=Python&Version=1"})
	switch {
	case got.MaximumQoS != nil:
		t.Errorf("Maximum QoS %v, want none", got.MaximumQoS)
	case got.NoRetain || got.NoShared || got.NoSubscriptionIDs || got.NoWildcards:
		t.Errorf("wrong features: %+v", got)
	case got.ReceiveMaximum != 100 || got.TopicAliasMaximum != 8 || got.MaximumPacketSize != 136<<10:
		t.Errorf("wrong limits: %+v", got)
	case got.ServerKeepAlive == nil || *got.ServerKeepAlive != 60:
		t.Errorf("Server Keep Alive %v, want 60", got.ServerKeepAlive)
	case got.SessionExpiry == nil || *got.SessionExpiry != 600:
		t.Errorf("Session Expiry %v, want 600", got.SessionExpiry)
	case !strings.HasPrefix(got.AssignedClientID, "auto-"):
		t.Errorf("Assigned Client Identifier %q, want auto-…", got.AssignedClientID)
	}
}

func TestConnectIsRefused(t *testing.T) {
	tests := []struct {
		name    string
		connect mqtt.Connect
		v5      mqtt.ReasonCode
		v311    mqtt.ReasonCode // as the codec reads the return code
	}{
		{"by the policy", mqtt.Connect{ClientID: "stranger"}, mqtt.NotAuthorized, mqtt.NotAuthorized},
		{"for a will that the policy denies", mqtt.Connect{ClientID: "a", Will: &mqtt.Will{Topic: "secret"}}, mqtt.NotAuthorized, mqtt.NotAuthorized},
		{"for a reserved client identifier", mqtt.Connect{ClientID: "$a"}, mqtt.ClientIdentifierNotValid, mqtt.ClientIdentifierNotValid},
		{"for a long client identifier", mqtt.Connect{ClientID: strings.Repeat("a", 1025)}, mqtt.ClientIdentifierNotValid, mqtt.ClientIdentifierNotValid},
	}
	h := start(t, nil)
	h.policy.deny(policy.Connect, "stranger")
	h.policy.deny(policy.Publish, "secret")
	for _, tt := range tests {
		for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
			t.Run(fmt.Sprintf("%s in %s", tt.name, v), func(t *testing.T) {
				c := h.dial()
				tt.connect.Version, tt.connect.CleanStart, tt.connect.RequestProblem = v, true, true
				want := tt.v5
				if v == mqtt.V311 {
					want = tt.v311
				}
				if got := c.tryConnect(&tt.connect); got.Code != want || v == mqtt.V5 && got.ReasonString == "" {
					t.Errorf("CONNACK %v %q, want %v and a reason", got.Code, got.ReasonString, want)
				}
				c.expectClosed()
			})
		}
	}
	t.Run("for extended authentication", func(t *testing.T) {
		c := h.dial()
		if got := c.tryConnect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", AuthMethod: "SCRAM"}); got.Code != mqtt.BadAuthenticationMethod {
			t.Errorf("CONNACK %v, want %v", got.Code, mqtt.BadAuthenticationMethod)
		}
	})
	if n := len(h.Clients()); n != 0 {
		t.Errorf("%d clients are connected, want none", n)
	}
}

func TestFirstPacketMustBeConnect(t *testing.T) {
	c := start(t, nil).dial()
	c.write(mqtt.AppendPingreq(nil))
	c.expectClosed()
}

func TestSecondConnectIsAProtocolError(t *testing.T) {
	c := start(t, nil).connect(mqtt.V5, "a")
	c.write(mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "a"}))
	c.expectEnd(mqtt.ProtocolError)
}

func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c := h.dial()
		begun := time.Now()
		c.write(mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "a"})[:5])
		c.nc.SetReadDeadline(time.Time{})
		if _, err := c.nc.Read(make([]byte, 1)); err == nil {
			t.Error("the broker answered half a CONNECT")
		}
		if waited := time.Since(begun); waited != 10*time.Second {
			t.Errorf("the broker waited %v for CONNECT, want 10s", waited)
		}
		h.stop()
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c := h.dial()
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", KeepAlive: 4})
		time.Sleep(5 * time.Second)
		c.ping()
		begun := time.Now()
		c.expectEnd(mqtt.KeepAliveTimeout)
		if waited := time.Since(begun); waited != 6*time.Second {
			t.Errorf("the broker waited %v, want one and a half times 4s", waited)
		}
		h.stop()
	})
}

func TestNoKeepAliveIsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c := h.connect(mqtt.V311, "a")
		time.Sleep(240 * time.Hour)
		c.ping()
		h.stop()
	})
}

func TestTakeOver(t *testing.T) {
	var held holdingIngester
	h := start(t, func(cfg *Config) { cfg.Ingester = &held })
	old := h.connect(mqtt.V5, "a")
	old.publish("t", 1, "from the old")
	held.wait(t, 1)
	next := h.dial()
	next.version = mqtt.V311
	go next.write(mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V311, ClientID: "a", CleanStart: true}))
	old.expectEnd(mqtt.SessionTakenOver)
	next.expect(mqtt.ConnackPacket)
	next.publish("t", 1, "from the new")
	held.wait(t, 2)
	if held.lanes[0] != held.lanes[1] {
		t.Error("the two connections have different lanes: their messages may overtake each other")
	}
	if n := len(h.Clients()); n != 1 {
		t.Errorf("%d clients, want 1", n)
	}
}

func TestTakeOverWaitsForTheReader(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := start(t, func(cfg *Config) {
		cfg.Ingester = ingesterFunc(func(*iot.Message, *iot.Lane, iot.Receipt, uint64) {
			close(entered)
			<-leave
		})
	})
	old := h.connect(mqtt.V5, "a")
	old.publish("t", 0, "x")
	<-entered
	old.discard()
	next := h.dial()
	accepted := make(chan struct{})
	go func() {
		next.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a"})
		close(accepted)
	}()
	c := h.clients.find("a")
	<-c.interrupted
	select {
	case <-accepted:
		t.Fatal("CONNACK was sent while the earlier connection was submitting")
	default:
	}
	close(leave)
	<-accepted
}

// TestConnackHasACodeOfItsOwn ends connections before CONNACK for reasons that only
// DISCONNECT has codes for.
func TestConnackHasACodeOfItsOwn(t *testing.T) {
	for _, code := range []mqtt.ReasonCode{
		mqtt.ServerShuttingDown, mqtt.SessionTakenOver, mqtt.AdministrativeAction, mqtt.MaximumConnectTime, mqtt.ServerBusy,
	} {
		c := &conn{version: mqtt.V5}
		connack, err := mqtt.DecodeConnack(c.farewell(&mqtt.Error{Code: code}), mqtt.V5)
		if err != nil || !connack.Code.Failed() {
			t.Errorf("%v: CONNACK with %v: %v", code, connack.Code, err)
		}
		c.version = mqtt.V311
		connack, err = mqtt.DecodeConnack(c.farewell(&mqtt.Error{Code: code}), mqtt.V311)
		if err != nil || connack.Code != mqtt.ServerUnavailable {
			t.Errorf("3.1.1, %v: CONNACK with %v, want one that invites another try: %v", code, connack.Code, err)
		}
	}
}

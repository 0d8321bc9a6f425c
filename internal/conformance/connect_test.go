package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestFirstPacketIsConnect(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.0-1", "MQTT-3.14.0-1", "MQTT-3.2.0-1", "MQTT311-3.2.0-1")
	w := newWorld(t)
	for _, first := range [][]byte{
		packet(0x30, text("a"), 0, "x"), packet(0x40, 0, 1), packet(0x62, 0, 1), packet(0x82, 0, 1, 0, text("a"), 0),
		packet(0xa2, 0, 1, 0, text("a")), packet(0xc0), packet(0xe0), packet(0xf0), packet(0x20, 0, 0, 0),
	} {
		c := w.dial(mqtt.V5)
		c.send(first)
		if got := c.next(); got != nil {
			t.Errorf("% x as the first packet is answered by %s", first, c.describe(got))
		}
	}
}

func TestSecondConnectEndsConnection(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.0-2", "MQTT-3.2.0-2", "MQTT311-3.1.0-2", "MQTT311-4.8.0-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).connect(v, "twice")
		c.send(mqtt.AppendConnect(nil, &mqtt.Connect{Version: v, ClientID: "twice", CleanStart: true}))
		c.expectEnd(mqtt.ProtocolError)
	})
}

func TestConnackOfAcceptedConnection(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-5", "MQTT-3.2.0-1", "MQTT-3.2.0-2", "MQTT-3.2.2-1", "MQTT-3.2.2-8", "MQTT-3.1.2-6", "MQTT-3.2.2-2", "MQTT-4.2-1", "MQTT-2.2.2-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		for _, change := range []func(*mqtt.Connect){func(*mqtt.Connect) {}, resume} {
			c := w.in(t).connect(v, "new"+v.String(), change) // the decoder refuses reserved flags and codes of other packets
			if c.connack.SessionPresent {
				t.Error("a session is present before there was one")
			}
			c.quiet()
		}
	})
}

func TestProtocolNameAndVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rest := []any{2, uint16(60), 0, text("id")}
	tests := []struct {
		name  string
		head  []any
		code  byte // of the CONNACK that may come
		shows string
	}{
		{"another name", []any{text("MQTX"), 5}, 0x84, "MQTT-3.1.2-1"},
		{"another name in 3.1.1", []any{text("mqtt"), 4}, 0x84, "MQTT311-3.1.2-1"},
		{"a version to come", []any{text("MQTT"), 6}, 0x84, "MQTT-3.1.2-2"},
		{"MQTT 3.1", []any{text("MQIsdp"), 3}, 1, "MQTT311-3.1.2-2"},
		{"level 3", []any{text("MQTT"), 3}, 1, "MQTT311-3.1.2-2"},
		{"level 0", []any{text("MQTT"), 0}, 1, "MQTT311-3.1.2-2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shows(t, tt.shows)
			c := w.in(t).dial(mqtt.V5)
			c.send(packet(0x10, append(slices.Clone(tt.head), rest...)...))
			got := c.next()
			if tt.code == 1 && got == nil {
				t.Fatal("there is no CONNACK 0x01")
			}
			if got != nil {
				if mqtt.PacketType(got) != mqtt.ConnackPacket || got[2] != 0 || got[3] != tt.code {
					t.Fatalf("answered by % x", got)
				}
				c.expectEnd()
			}
		})
	}
}

// TestMalformedConnect sends what is no CONNECT of the version. In MQTT 5 a
// CONNACK with the reason may come before the end; in 3.1.1 nothing may.
func TestMalformedConnect(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-1", "MQTT311-3.1.4-1", "MQTT-3.2.2-7", "MQTT-3.2.2-6", "MQTT-4.13.1-1", "MQTT-4.13.2-1", "MQTT311-3.2.2-6", "MQTT-3.14.0-1")
	w := newWorld(t)
	type malformed struct {
		name    string
		flags   int
		payload []any // with the will's properties where MQTT 5 has them
		v5, v4  bool  // in which versions it is malformed
		shows   string
	}
	noProps := 0
	tests := []malformed{
		{"the reserved flag", 0x03, []any{text("id")}, true, true, "MQTT-3.1.2-3 MQTT311-3.1.2-3"},
		{"a will QoS without a will", 0x0a, []any{text("id")}, true, true, "MQTT-3.1.2-11"},
		{"a will of QoS 3", 0x1e, []any{text("id"), noProps, text("t"), text("m")}, true, false, "MQTT-3.1.2-12"},
		{"a will of QoS 3 in 3.1.1", 0x1e, []any{text("id"), text("t"), text("m")}, false, true, "MQTT-3.1.2-12"},
		{"will retain without a will", 0x22, []any{text("id")}, true, true, "MQTT-3.1.2-13"},
		{"a will flag without a will", 0x06, []any{text("id")}, true, true, "MQTT-3.1.2-9"},
		{"a will without its payload", 0x06, []any{text("id"), noProps, text("t")}, true, false, "MQTT-3.1.2-9"},
		{"a will without the flag", 0x02, []any{text("id"), text("t"), text("m")}, true, true, "MQTT-3.1.2-9"},
		{"a user name without the flag", 0x02, []any{text("id"), text("user")}, true, true, "MQTT-3.1.2-16"},
		{"the flag without a user name", 0x82, []any{text("id")}, true, true, "MQTT-3.1.2-17"},
		{"a password without the flag", 0x82, []any{text("id"), text("user"), text("pass")}, true, true, "MQTT-3.1.2-18"},
		{"the flag without a password", 0xc2, []any{text("id"), text("user")}, true, true, "MQTT-3.1.2-19"},
		{"a password without a user name", 0x42, []any{text("id"), text("pass")}, false, true, "MQTT311-3.1.2-22"},
		{"no client identifier", 0x02, nil, true, true, "MQTT-3.1.3-3"},
		{"a client identifier cut short", 0x02, []any{uint16(5), "id"}, true, true, "MQTT-3.1.3-3"},
		{"a client identifier that is not UTF-8", 0x02, []any{text("i\xc3(")}, true, true, "MQTT-3.1.3-4"},
		{"a client identifier with U+0000", 0x02, []any{text("i\x00d")}, true, true, "MQTT-3.1.3-4 MQTT-1.5.4-2"},
		{"a will topic that is not UTF-8", 0x06, []any{text("id"), noProps, text("t\xff"), text("m")}, true, false, "MQTT-3.1.3-11"},
		{"a will topic that is not UTF-8 in 3.1.1", 0x06, []any{text("id"), text("t\xff"), text("m")}, false, true, "MQTT-3.1.3-11"},
		{"a will topic with a wildcard", 0x06, []any{text("id"), noProps, text("t/#"), text("m")}, true, false, "MQTT-4.7.0-1"},
		{"an empty will topic", 0x06, []any{text("id"), noProps, text(""), text("m")}, true, false, "MQTT-4.7.3-1"},
		{"a user name that is not UTF-8", 0x82, []any{text("id"), text("\xed\xa0\x80")}, true, true, "MQTT-3.1.3-12 MQTT-1.5.4-1"},
		{"what is no string where the client identifier comes first", 0x82, []any{text("\xff"), text("id")}, true, true, "MQTT-3.1.3-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shows(t, strings.Fields(tt.shows)...)
			versions(t, func(t *testing.T, v mqtt.Version) {
				if v == mqtt.V5 && !tt.v5 || v == mqtt.V311 && !tt.v4 {
					return // it has another form
				}
				head := []any{text("MQTT"), int(v), tt.flags, uint16(60)}
				if v == mqtt.V5 {
					head = append(head, noProps)
				}
				w.in(t).expectRefusal(v, packet(0x10, append(head, tt.payload...)...), mqtt.MalformedPacket, mqtt.ProtocolError, mqtt.TopicNameInvalid)
			})
		})
	}
}

// expectRefusal expects that a CONNECT is refused: in MQTT 5 by a CONNACK with
// one of the codes or none, in 3.1.1 without CONNACK.
func (w *world) expectRefusal(v mqtt.Version, connect []byte, codes ...mqtt.ReasonCode) {
	w.t.Helper()
	c := w.dial(v)
	c.send(connect)
	got := c.next()
	if got == nil {
		return
	}
	if v != mqtt.V5 || mqtt.PacketType(got) != mqtt.ConnackPacket {
		w.t.Fatalf("answered by %s", c.describe(got))
	}
	connack, err := mqtt.DecodeConnack(got, v) // refuses session present, and codes of other packets
	w.must(err)
	if !slices.Contains(codes, connack.Code) {
		w.t.Fatalf("CONNACK %v (%s), want one of %v", connack.Code, connack.ReasonString, codes)
	}
	c.expectEnd()
}

func TestConnectProperties(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-1", "MQTT-4.13.1-1", "MQTT-1.5.5-1", "MQTT-1.5.7-1", "MQTT-2.2.2-1")
	w := newWorld(t)
	for name, properties := range map[string][]any{
		"receive maximum 0":                 {33, 0, 0},
		"maximum packet size 0":             {39, 0, 0, 0, 0},
		"request problem information 2":     {23, 2},
		"request response information 2":    {25, 2},
		"receive maximum twice":             {33, 0, 9, 33, 0, 9},
		"authentication data and no method": {22, text("x")},
		"a property of PUBLISH":             {35, 0, 1},
		"a property that there is not":      {4, 0},
		"a user property that is not UTF-8": {38, text("k"), text("\xff")},
		"a user property with U+0000":       {38, text("\x00"), text("v")},
		"a user property without its value": {38, text("k")},
	} {
		t.Run(name, func(t *testing.T) {
			body := packet(0, properties...)[1:] // a property block is a length and what it measures
			connect := packet(0x10, text("MQTT"), 5, 2, uint16(60), string(body), text("id"))
			w.in(t).expectRefusal(mqtt.V5, connect, mqtt.MalformedPacket, mqtt.ProtocolError)
		})
	}
	t.Run("no property length", func(t *testing.T) {
		w.in(t).expectRefusal(mqtt.V5, packet(0x10, text("MQTT"), 5, 2, uint16(60)), mqtt.MalformedPacket)
	})
	t.Run("a property length of two bytes where one does", func(t *testing.T) {
		w.in(t).expectRefusal(mqtt.V5, packet(0x10, text("MQTT"), 5, 2, uint16(60), 0x80, 0, text("id")), mqtt.MalformedPacket)
	})
}

func TestRefusedConnectIsFollowedByNothing(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-2", "MQTT-3.1.4-6", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.14.0-1", "MQTT311-3.1.4-5", "MQTT311-3.2.2-4", "MQTT311-3.2.2-5")
	w := newWorld(t)
	w.deny(policy.Connect, "refused")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		watcher := w.connect(v, "watcher"+v.String())
		watcher.subscribe("#", 1)
		c := w.dial(v)
		packets := mqtt.AppendConnect(nil, &mqtt.Connect{Version: v, ClientID: "refused", CleanStart: true})
		packets = mqtt.AppendPublish(packets, v, &mqtt.Publish{Topic: []byte("t"), Payload: []byte("x"), QoS: 1, PacketID: 1})
		c.send(packets)
		connack, err := mqtt.DecodeConnack(c.expect(mqtt.ConnackPacket), v)
		w.must(err)
		if connack.Code != mqtt.NotAuthorized || connack.SessionPresent {
			t.Errorf("CONNACK %+v, want %v", connack, mqtt.NotAuthorized)
		}
		c.expectEnd()
		watcher.quiet()
	})
}

func TestClientIdentifiersOfTheStandard(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.3-5")
	w := newWorld(t)
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	versions(t, func(t *testing.T, v mqtt.Version) {
		for _, id := range []string{"a", "0", letters[:23], letters[23:46], letters[len(letters)-23:]} {
			w.in(t).connect(v, id)
		}
	})
}

func TestAssignedClientIdentifier(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16", "MQTT311-3.1.3-6")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		a, b := w.connect(v, ""), w.connect(v, "")
		a.ping() // neither has taken the other's identifier
		b.ping()
		if v == mqtt.V5 && (a.connack.AssignedClientID == "" || a.connack.AssignedClientID == b.connack.AssignedClientID) {
			t.Errorf("%q and %q were assigned", a.connack.AssignedClientID, b.connack.AssignedClientID)
		}
	})
	named := w.connect(mqtt.V5, "named")
	if named.connack.AssignedClientID != "" {
		t.Error("an identifier was assigned to a client that has one")
	}
	first := w.connect(mqtt.V5, "", resume)
	id := first.connack.AssignedClientID
	first.subscribe("t", 1)
	first.drop()
	if again := w.connect(mqtt.V5, id, resume); !again.connack.SessionPresent {
		t.Errorf("the session is not that of the assigned identifier %q", id)
	}
}

func TestRefusedClientIdentifier(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.3-8", "MQTT311-3.1.3-9", "MQTT311-3.1.3-8", "MQTT-3.2.2-7")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).tryConnect(v, strings.Repeat("x", 65535))
		if c.connack.Code != mqtt.ClientIdentifierNotValid {
			t.Errorf("CONNACK %v, want %v", c.connack.Code, mqtt.ClientIdentifierNotValid)
		}
		c.expectEnd()
	})
	c := w.tryConnect(mqtt.V311, "", resume)
	if c.connack.Code != mqtt.ClientIdentifierNotValid {
		t.Errorf("no identifier and no clean session in 3.1.1: %v, want %v", c.connack.Code, mqtt.ClientIdentifierNotValid)
	}
	c.expectEnd()
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-3", "MQTT311-3.1.4-2", "MQTT-3.1.3-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		other := w.connect(v, "other"+v.String())
		first := w.connect(v, "same"+v.String())
		second := w.connect(v, "same"+v.String())
		first.expectEnd(mqtt.SessionTakenOver)
		second.ping()
		other.ping()
	})
}

func TestServerSupportsEverything(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.2.2-9", "MQTT-3.2.2-10", "MQTT-3.2.2-12", "MQTT-3.2.2-13", "MQTT-3.1.2-12")
	w := newWorld(t)
	c := w.connect(mqtt.V5, "c", resume)
	if a := c.connack; a.MaximumQoS != nil || a.NoRetain || a.NoWildcards || a.NoSubscriptionIDs || a.NoShared || a.SessionExpiry != nil {
		t.Errorf("CONNACK refuses something: %+v", a)
	}
	for qos := range byte(3) {
		c.subscribe("t", qos)
		c.subscribe("$share/g/t", qos)
	}
	for qos := range byte(3) {
		for _, retain := range []bool{false, true} {
			w.connect(mqtt.V5, "w", func(c *mqtt.Connect) {
				c.Will = &mqtt.Will{Topic: "t", Payload: []byte("x"), QoS: qos, Retain: retain}
			}).disconnect()
		}
	}
}

func TestExtendedAuthenticationIsRefused(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.12.0-1", "MQTT-4.12.0-2", "MQTT-4.12.0-4", "MQTT-4.12.0-5", "MQTT-3.15.2-1", "MQTT-3.15.2-2", "MQTT-3.15.2-3")
	w := newWorld(t)
	c := w.tryConnect(mqtt.V5, "c", func(c *mqtt.Connect) { c.AuthMethod, c.AuthData = "SCRAM-SHA-1", []byte("x") }) // CONNACK, not AUTH
	if c.connack.Code != mqtt.BadAuthenticationMethod && c.connack.Code != mqtt.NotAuthorized {
		t.Errorf("CONNACK %v, want %v", c.connack.Code, mqtt.BadAuthenticationMethod)
	}
	c.expectEnd()
}

func TestNoAuthenticationMethod(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.12.0-6", "MQTT-4.12.1-2", "MQTT-3.15.1-1")
	w := newWorld(t)
	for name, auth := range map[string][]byte{
		"again, without a method": mqtt.AppendAuth(nil, &mqtt.Auth{Code: mqtt.Reauthenticate}),
		"again":                   mqtt.AppendAuth(nil, &mqtt.Auth{Code: mqtt.Reauthenticate, AuthMethod: "m"}),
		"short":                   packet(0xf0),
		"with flags":              packet(0xf1, 0x19, 0),
	} {
		t.Run(name, func(t *testing.T) {
			c := w.in(t).connect(mqtt.V5, "c")
			if c.connack.AuthMethod != "" || c.connack.AuthData != nil {
				t.Error("CONNACK names an authentication method")
			}
			c.send(auth)
			c.expectEnd(mqtt.ProtocolError, mqtt.MalformedPacket, mqtt.NotAuthorized, mqtt.BadAuthenticationMethod)
		})
	}
}

func TestResponseInformationOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-28")
	w := newWorld(t)
	if c := w.connect(mqtt.V5, "c"); c.connack.ResponseInformation != "" {
		t.Errorf("unasked response information %q", c.connack.ResponseInformation)
	}
	w.connect(mqtt.V5, "d", func(c *mqtt.Connect) { c.RequestResponse = true })
}

func TestConnectWithEveryField(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.3-1", "MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT-3.1.2-9")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		watcher := w.connect(v, "watcher"+v.String())
		watcher.subscribe("will/"+v.String(), 1)
		c := w.connect(v, "full"+v.String(), func(c *mqtt.Connect) {
			c.Will = &mqtt.Will{Topic: "will/" + v.String(), Payload: []byte("payload"), QoS: 1}
			c.HasUsername, c.Username = true, "user"
			c.HasPassword, c.Password = true, []byte("pass\x00\xff")
		})
		c.drop()
		watcher.expectMessage("will/"+v.String(), "payload", 1)
	})
}

package push

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

func TestListenerGetsEveryPayloadByteForByte(t *testing.T) {
	d := open(t, nil)
	d.commit("early")
	p := d.join(t)
	d.commit("a", "b")
	d.commit("c")
	p.wants(string(payloadOf(2)), string(payloadOf(3)), string(payloadOf(4)))
	p.nothing()
}

func TestPayloadsOfEveryLengthAreFramed(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	for i, n := range []int{2, 125, 126, 65535, 65536, 131072} {
		payload := []byte(`"` + strings.Repeat("x", n-2) + `"`)
		d.Publish([]*iot.Reading{{DeviceID: "a", Seq: uint64(i + 1), Payload: payload}})
		p.wants(string(payload))
	}
}

func TestPayloadThatIsNotUTF8IsMadeSo(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	d.Publish([]*iot.Reading{{DeviceID: "a", Seq: 1, Payload: []byte("{\"s\": \"\xff\"}")}})
	p.wants("{\"s\": \"\uFFFD\"}")
	p.send(`{"action":"subscribe","device_id":"a","since":0}`)
	p.wants(`{"action":"subscribed","device_id":"a"}`, "{\"seq\":1,\"device_id\":\"a\",\"time\":0,\"payload\":{\"s\": \"\uFFFD\"}}")
}

func TestSubscribeNarrows(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	p.send(`{"action":"subscribe","device_id":"a<b>"}`)
	p.wants(`{"action":"subscribed","device_id":"a\u003cb\u003e"}`)
	d.commit("other", "a<b>", "b", "b")
	p.wants(string(payloadOf(2)))
	p.send(`{"action":"subscribe","device_id":"b","more":1}`)
	p.wants(`{"action":"subscribed","device_id":"b"}`)
	d.commit("b", "other", "a<b>")
	p.wants(string(payloadOf(5)), string(payloadOf(7)))
	p.send(`{"action":"subscribe","device_id":"*"}`)
	p.wants(`{"action":"subscribed","device_id":"*"}`)
	d.commit("b", "other")
	p.wants(string(payloadOf(8)), string(payloadOf(9)))
	for _, device := range []string{"*", "b", "a"} {
		p.send(`{"action":"unsubscribe","device_id":"` + device + `"}`)
		p.wants(`{"action":"unsubscribed","device_id":"` + device + `"}`)
	}
	d.commit("other", "b", "a<b>")
	p.wants(string(payloadOf(12)))
	p.send(`{"action":"unsubscribe","device_id":"a<b>"}`)
	p.text()
	d.commit("other", "b", "a<b>")
	p.nothing()
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.all)+len(d.byDevice) != 0 {
		t.Errorf("index after the last unsubscribe: %v %v", d.all, d.byDevice)
	}
}

func TestUnsubscribeEndsTheListening(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	p.send(`{"action":"unsubscribe","device_id":"*"}`)
	p.wants(`{"action":"unsubscribed","device_id":"*"}`)
	d.commit("a")
	p.nothing()
}

func TestWhatIsNoActionIsForbidden(t *testing.T) {
	d := open(t, func(c *Config) { c.MaxSubscriptions = 1 })
	p := d.join(t)
	tests := []struct{ name, text string }{
		{"not JSON", `subscribe`},
		{"empty", ``},
		{"an array", `["subscribe"]`},
		{"null", `null`},
		{"two documents", `{"action":"subscribe","device_id":"a"}{}`},
		{"no action", `{"device_id":"a"}`},
		{"an unknown action", `{"action":"publish","device_id":"a"}`},
		{"no device_id", `{"action":"subscribe"}`},
		{"an empty device_id", `{"action":"subscribe","device_id":""}`},
		{"a device_id that is a number", `{"action":"subscribe","device_id":1}`},
		{"a very long device_id", `{"action":"subscribe","device_id":"` + strings.Repeat("x", telemetry.MaxActionDeviceID+1) + `"}`},
		{"a negative since", `{"action":"subscribe","device_id":"a","since":-1}`},
		{"a fractional since", `{"action":"subscribe","device_id":"a","since":1.5}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.send(tt.text)
			checkRefusal(t, p.text(), "Forbidden", d.Connections()[0].ID)
		})
	}
	p.write(ws.NewBinaryFrame([]byte(`{"action":"subscribe","device_id":"a"}`)))
	p.wants(`{"action":"subscribed","device_id":"a"}`)
	p.send(`{"action":"subscribe","device_id":"b"}`)
	checkRefusal(t, p.text(), "Limit exceeded", d.Connections()[0].ID)
}

func checkRefusal(t *testing.T, text, message, connection string) {
	t.Helper()
	var got struct{ Message, ConnectionID, RequestID string }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got.Message != message || got.ConnectionID != connection || len(got.RequestID) != 16 || len(connection) != 16 {
		t.Errorf("refusal %s of connection %q", text, connection)
	}
}

func TestPostAndDisconnect(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	id := d.Connections()[0].ID
	if err := d.Post(id, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	p.wants("hello")
	if err := d.Post(id, make([]byte, maxMessage+1)); !isErr(err, iot.ErrLimit) {
		t.Errorf("a large post: %v", err)
	}
	if err := d.Disconnect(id); err != nil {
		t.Fatal(err)
	}
	if code, _ := p.closed(); code != ws.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
	p.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	if e := <-d.events.ended; e != (ending{id, 1000, "Connection Closed Normally"}) {
		t.Errorf("ended as %+v", e)
	}
	if err := d.Post(id, nil); !isErr(err, iot.ErrNotFound) {
		t.Errorf("a post to a closed connection: %v", err)
	}
	if err := d.Disconnect(id); !isErr(err, iot.ErrNotFound) {
		t.Errorf("disconnecting a closed connection: %v", err)
	}
}

func TestClientClose(t *testing.T) {
	tests := []struct {
		name    string
		payload []byte
		answer  ws.StatusCode
		ending  ending
	}{
		{"normal", ws.NewCloseFrameBody(1000, "bye"), 1000, ending{"", 1000, "bye"}},
		{"going away", ws.NewCloseFrameBody(1001, ""), 1001, ending{"", 1001, ""}},
		{"without a status", nil, 0, ending{"", 1005, "Client-side close frame status not set"}},
		{"half a status", []byte{3}, 1002, ending{"", 1002, "a close frame's status has two bytes"}},
		{"a status that must not be sent", ws.NewCloseFrameBody(1006, ""), 1002, ending{"", 1002, string(ws.ErrProtocolStatusCodeApplicationLevel)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, nil)
			p := d.join(t)
			p.write(ws.NewCloseFrame(tt.payload))
			if code, _ := p.closed(); code != tt.answer {
				t.Errorf("answered with %d, want %d", code, tt.answer)
			}
			p.conn.Close()
			e := <-d.events.ended
			if e.id = ""; e != tt.ending {
				t.Errorf("ended as %+v, want %+v", e, tt.ending)
			}
		})
	}
	t.Run("none at all", func(t *testing.T) {
		d := open(t, nil)
		d.join(t).conn.Close()
		if e := <-d.events.ended; e.code != 1006 {
			t.Errorf("ended as %+v", e)
		}
	})
}

func TestRunClosesEveryoneWith1001(t *testing.T) {
	g, err := New(Config{Readings: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	defer server.Close()
	d := &door{Gateway: g, url: "ws" + strings.TrimPrefix(server.URL, "http")}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- g.Run(ctx) }()
	polite, silent := d.join(t), d.join(t)
	stop()
	if code, _ := polite.closed(); code != ws.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	polite.conn.Close()
	if code, _ := silent.closed(); code != ws.StatusGoingAway { // and never answers
		t.Errorf("closed with %d", code)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if len(g.Connections()) != 0 {
		t.Errorf("still there: %v", g.Connections())
	}
	if _, _, _, err := ws.Dial(context.Background(), d.url); err == nil {
		t.Error("a stopped gateway takes connections")
	}
}

func TestMessagesAreReassembled(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	text := []byte(`{"action":"subscribe","device_id":"ä"}`)
	cut := bytes.IndexByte(text, 0xc3) + 1 // within the letter
	p.write(ws.NewFrame(ws.OpText, false, text[:cut]))
	p.write(ws.NewFrame(ws.OpContinuation, false, nil))
	p.ping() // control frames may come between
	p.write(ws.NewFrame(ws.OpContinuation, true, text[cut:]))
	p.wants(`{"action":"subscribed","device_id":"ä"}`)
}

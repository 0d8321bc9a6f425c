package broker

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// hijacked is a ResponseWriter whose connection can be taken over.
type hijacked struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// upgradeRequest is what a browser asks for a WebSocket with.
func upgradeRequest(protocols ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/mqtt", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	for _, p := range protocols {
		r.Header.Add("Sec-WebSocket-Protocol", p)
	}
	return r
}

// page is the client's end of a WebSocket, as the stream of its binary frames.
type page struct {
	net.Conn
	r      *bufio.Reader
	rest   []byte
	status ws.StatusCode // of the server's close frame
}

// readFrame reads a frame of at most 4 MiB.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 4<<20 {
		return f, ws.ErrHeaderLengthUnexpected
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func (p *page) Write(b []byte) (int, error) {
	if err := ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewBinaryFrame(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *page) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		f, err := readFrame(p.r)
		if err != nil {
			return 0, err
		}
		switch f.Header.OpCode {
		case ws.OpBinary:
			p.rest = f.Payload
		case ws.OpClose:
			p.status, _ = ws.ParseCloseFrameData(f.Payload)
			ws.WriteFrame(p.Conn, ws.MaskFrame(f)) // the server may have gone
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// open opens a WebSocket to the broker without CONNECT.
func (h *harness) open(as Peer, r *http.Request) (*client, *page, *http.Response) {
	h.t.Helper()
	ours, theirs := net.Pipe()
	h.t.Cleanup(func() { ours.Close() })
	go h.ServeWebSocket(&hijacked{httptest.NewRecorder(), theirs}, r, as)
	p := &page{Conn: ours, r: bufio.NewReader(ours)}
	res, err := http.ReadResponse(p.r, r)
	if err != nil {
		h.t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		h.t.Fatalf("the upgrade is answered %s", res.Status)
	}
	return &client{t: h.t, nc: p, version: mqtt.V5}, p, res
}

var operator = Peer{Principal: "AKIAEXAMPLE", Policies: []string{"SignedMqtt"}}

func TestWebSocketClientTalksWithOthers(t *testing.T) {
	h := start(t, nil)
	for _, protocol := range []string{"mqtt", "mqttv3.1", "chat, mqtt", "chat,mqttv3.1"} {
		c, p, res := h.open(operator, upgradeRequest(protocol))
		if got := res.Header.Get("Sec-WebSocket-Protocol"); got != strings.TrimLeft(strings.TrimPrefix(protocol, "chat,"), " ") {
			t.Errorf("%s is answered with the subprotocol %q [MQTT-6.0.0-4]", protocol, got)
		}
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "page", CleanStart: true})
		c.subscribe(mqtt.Subscription{Filter: "to/page", QoS: 1})
		device := h.connect(mqtt.V311, "device")
		device.publish("to/page", 7, "hello")
		device.expectAck(7, mqtt.Success)
		c.expectPublish("to/page", 1)
		info := h.Clients()[1]
		if info.ClientID != "page" || info.Remote != "192.0.2.1:1234" || info.AccessKey != operator.Principal || info.CertificateID != "" { // httptest's
			t.Errorf("the broker knows the client as %+v", info)
		}
		if !strings.Contains(h.log.String(), "client=page remote=192.0.2.1:1234 version=5.0 access_key=AKIAEXAMPLE") {
			t.Errorf("the log does not say whose key it is:\n%s", h.log)
		}
		c.write(mqtt.AppendDisconnect(nil, mqtt.V5, &mqtt.Disconnect{}))
		c.expectClosed()
		if p.status != ws.StatusNormalClosure {
			t.Errorf("closed with %d", p.status)
		}
	}
}

func TestWebSocketUpgradesAreRefused(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.Arriving = 1 })
	plain := upgradeRequest("mqtt")
	plain.Header.Del("Upgrade")
	check := func(name string, r *http.Request, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeWebSocket(w, r, operator)
		if w.Code != want {
			t.Errorf("%s is answered %d %s, want %d", name, w.Code, w.Body, want)
		}
	}
	check("a request without an upgrade", plain, http.StatusUpgradeRequired)
	check("no subprotocol [MQTT-6.0.0-3]", upgradeRequest(), http.StatusBadRequest)
	check("another subprotocol", upgradeRequest("chat, MQTT"), http.StatusBadRequest)
	waiting, _, _ := h.open(operator, upgradeRequest("mqtt"))
	for !h.arriving.full(time.Now()) {
		time.Sleep(time.Millisecond) // the goroutine that serves it is on its way
	}
	check("one connection too many without CONNECT", upgradeRequest("mqtt"), http.StatusServiceUnavailable)
	waiting.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true})
	waiting.ping()
	next, _, _ := h.open(operator, upgradeRequest("mqtt"))
	next.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "b", CleanStart: true})
}

func TestWebSocketMustSendConnectInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		begun := time.Now()
		c, p, _ := h.open(operator, upgradeRequest("mqtt"))
		pinged := make(chan int)
		go func() { // pings are no CONNECT
			n := 0
			for ; ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewPingFrame([]byte("?")))) == nil; n++ {
				time.Sleep(time.Second)
			}
			pinged <- n
		}()
		c.nc.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := c.nc.Read(make([]byte, 9)); n > 0 || err != io.EOF {
			t.Errorf("read %d, %v", n, err)
		}
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := <-pinged; n < 10 {
			t.Errorf("%d pings were sent", n)
		}
		h.stop()
	})
}

func TestWebSocketLastsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c, p, _ := h.open(operator, upgradeRequest("mqtt"))
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true, RequestProblem: true})
		time.Sleep(webSocketTime - time.Second)
		c.ping()
		time.Sleep(time.Second)
		if d := c.expectEnd(mqtt.MaximumConnectTime); !strings.Contains(d.ReasonString, "24h") {
			t.Errorf("the reason is %q", d.ReasonString)
		}
		if p.status != ws.StatusNormalClosure {
			t.Errorf("closed with %d", p.status)
		}
		h.stop()
	})
}

func TestWebSocketEndsWithTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c, _, _ := h.open(operator, upgradeRequest("mqtt"))
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true})
		stopped := make(chan error)
		go func() { stopped <- h.stop() }()
		c.expectEnd(mqtt.ServerShuttingDown)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		late, _, _ := h.open(operator, upgradeRequest("mqtt"))
		late.expectClosed()
	})
}

func TestTextFrameEndsTheConnection(t *testing.T) {
	h := start(t, nil)
	c, p, _ := h.open(operator, upgradeRequest("mqtt"))
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true, RequestProblem: true})
	wrote := make(chan error)
	go func() { wrote <- ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewTextFrame(make([]byte, 1000)))) }()
	if d := c.expectEnd(mqtt.ProtocolError); !strings.Contains(d.ReasonString, "[MQTT-6.0.0-1]") {
		t.Errorf("the reason is %q", d.ReasonString)
	}
	if p.status != ws.StatusUnsupportedData {
		t.Errorf("closed with %d", p.status)
	}
	if err := <-wrote; err != nil {
		t.Errorf("the rest of the frame was not read away: %v", err)
	}
}

// policies allow everything, and hold the names of those that were asked.
type policies chan string

func (p policies) Authorize(who *iot.Principal, _ policy.Action, _ string) policy.Decision {
	p <- strings.Join(who.PolicyNames, ",")
	return policy.Decision{Allowed: true}
}

// TestPeerActsUnderItsPolicies: a signed client is asked about by the policies
// that it came with, and one without by those of the plain listener.
func TestPeerActsUnderItsPolicies(t *testing.T) {
	asked := make(policies, 100)
	submitted := make(chan *iot.Message, 1)
	h := start(t, func(c *Config) {
		c.Authorizer = asked
		c.Ingester = ingesterFunc(func(m *iot.Message, _ *iot.Lane, _ iot.Receipt, _ uint64) { submitted <- m })
	})
	c, _, _ := h.open(operator, upgradeRequest("mqtt"))
	c.connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "a", CleanStart: true})
	if got := <-asked; got != "SignedMqtt" {
		t.Errorf("CONNECT is decided by %q", got)
	}
	c.publish("t", 0, "")
	if from := (<-submitted).Origin; from.Principal != operator.Principal || from.Source.String() != "192.0.2.1" || from.Device != "" {
		t.Errorf("the message comes from %+v", from)
	}
	<-asked
	h.connect(mqtt.V311, "b")
	if got := <-asked; got != DefaultPlainPolicy {
		t.Errorf("CONNECT is decided by %q", got)
	}
}

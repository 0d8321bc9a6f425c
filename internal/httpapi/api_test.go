package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// world is everything behind an API: registry, readings and what goes on.
type world struct {
	things   []iot.Thing
	certs    map[string]iot.Certificate
	attached map[string][]string // certificates of a thing
	policies map[string][]iot.Policy
	readings map[string][]iot.Reading
	online   map[string]Presence
	failing  error // what the store answers, when it is broken
	notReady error
	now      time.Time
}

func find[T any](m map[string]T, what, key string) (T, error) {
	v, ok := m[key]
	if !ok {
		return v, fmt.Errorf("%s %q: %w", what, key, iot.ErrNotFound)
	}
	return v, nil
}

func (w *world) Thing(name string) (iot.Thing, error) {
	for _, t := range w.things {
		if t.Name == name {
			return t, w.failing
		}
	}
	return iot.Thing{}, fmt.Errorf("thing %q: %w", name, iot.ErrNotFound)
}

func (w *world) Things(after string, limit int) ([]iot.Thing, error) {
	var page []iot.Thing
	for _, t := range w.things { // they are in order
		if t.Name > after && len(page) < limit {
			page = append(page, t)
		}
	}
	return page, w.failing
}

func (w *world) CertificatesOf(thing string) ([]string, error) { return w.attached[thing], nil }

func (w *world) Certificate(id string) (iot.Certificate, error) {
	return find(w.certs, "certificate", id)
}

func (w *world) PoliciesOf(id string) ([]iot.Policy, error) { return w.policies[id], nil }

func (w *world) Latest(_ context.Context, device string) (iot.Reading, error) {
	h, err := find(w.readings, "device", device)
	if err != nil {
		return iot.Reading{}, err
	}
	return h[len(h)-1], w.failing
}

func (w *world) LatestPage(_ context.Context, after string, limit int) ([]iot.Reading, error) {
	var page []iot.Reading
	for _, h := range w.readings {
		if last := h[len(h)-1]; last.DeviceID > after {
			page = append(page, last)
		}
	}
	slices.SortFunc(page, func(a, b iot.Reading) int { return strings.Compare(a.DeviceID, b.DeviceID) })
	return page[:min(limit, len(page))], w.failing
}

func (w *world) History(_ context.Context, q iot.HistoryQuery) ([]iot.Reading, error) {
	all := slices.Clone(w.readings[q.DeviceID])
	if q.Desc {
		slices.Reverse(all)
	}
	var page []iot.Reading
	for _, r := range all {
		behind := q.After == nil || r.Seq != q.After.Seq && (r.Seq > q.After.Seq) != q.Desc
		if r.Time >= q.From && (q.To == 0 || r.Time < q.To) && behind && len(page) < q.Limit {
			page = append(page, r)
		}
	}
	return page, w.failing
}

func (w *world) Online() map[string]Presence { return w.online }
func (w *world) LastSeq() uint64             { return 42 }
func (w *world) DeadLetterCount() int        { return 3 }
func (w *world) Rules() []iot.RuleStatus {
	return []iot.RuleStatus{{Name: "SendToLambdaRule", SQL: "SELECT * FROM 'sensor/data'", Enabled: true, Actions: []string{"lambda ProcessIoTData"}, Matched: 3}}
}

func (w *world) Connections() ([]iot.Connection, error) {
	return []iot.Connection{{ID: "L0SM9cOFvHcCIhw=", ConnectedAt: time.UnixMilli(1000).UTC(), SourceIP: "127.0.0.1"}}, w.failing
}

func (w *world) add(_ context.Context, name string) (Provisioned, error) {
	switch name {
	case "":
		return Provisioned{}, fmt.Errorf("a thing needs a name: %w", iot.ErrInvalid)
	case "pump":
		return Provisioned{}, fmt.Errorf("thing %q: %w", name, iot.ErrExists)
	}
	return Provisioned{Thing: name, CertificateID: "c0ffee", Policy: "IoTBasicPolicy", Files: map[string]string{"private.pem.key": "secret\n"}, Command: "fieldline device"}, nil
}

func newWorld() *world {
	w := &world{
		things:   []iot.Thing{{Name: "pump"}, {Name: "spare"}},
		certs:    map[string]iot.Certificate{"c1": {ID: "c1", Status: iot.CertificateActive, NotAfter: time.UnixMilli(99000)}},
		attached: map[string][]string{"pump": {"c1", "deleted meanwhile"}},
		policies: map[string][]iot.Policy{"c1": {{Name: "IoTBasicPolicy"}}},
		readings: map[string][]iot.Reading{},
		online:   map[string]Presence{"pump": {Since: 500, Source: "10.0.3.7:4711"}},
		now:      time.UnixMilli(1_000_000),
	}
	for i := range 5 {
		w.readings["pump"] = append(w.readings["pump"], iot.Reading{
			DeviceID: "pump", TS: "1.50", Time: int64(1000 + i), Seq: uint64(10 + i), Payload: fmt.Appendf(nil, `{"n": %d.10, "t":"<&>"}`, i),
		})
	}
	w.readings["<b>x</b>"] = []iot.Reading{{DeviceID: "<b>x</b>", TS: `"7"`, Time: 7000, Seq: 1, Payload: []byte(`[1, 2]`)}}
	return w
}

// serve returns the API of a world, as change makes it.
func serve(t *testing.T, w *world, change func(*Config)) *API {
	t.Helper()
	cfg := Config{
		WebSocket: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "websocket") }),
		Readings:  w, Devices: w, Sight: w, Add: w.add,
		Session: Session{Version: "v1", Region: "us-east-1", Account: "123456789012", Gateway: "http://127.0.0.1:8080", Rule: "SendToLambdaRule", Topic: "sensor/data"},
		URL:     "http://127.0.0.1:8080", Hosts: []string{"gateway.example"},
		AllowOrigin: func(origin string) bool { return origin == "https://good.example" },
		OpenLooking: true,
		Ready:       func() error { return w.notReady },
		Now:         func() time.Time { return w.now },
		Dashboard: fstest.MapFS{
			"index.html":      {Data: []byte("<!doctype html>the page")},
			"theme.js":        {Data: []byte("theme()")},
			"assets/app-1.js": {Data: []byte("app()")},
		},
	}
	if change != nil {
		change(&cfg)
	}
	var a *API
	if cfg.Authorize == nil {
		cfg.Authorize = func(r *http.Request) error {
			if cfg.OpenLooking || a.Operator(r) {
				return nil
			}
			return fmt.Errorf("run fieldline login: %w", iot.ErrDenied)
		}
	}
	var err error
	if a, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return a
}

// ask sends a request; headers are names and values in turn.
func ask(a http.Handler, method, target, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// problem checks that an answer is a problem of a status that says a text.
func problem(t *testing.T, res *http.Response, status int, says string) {
	t.Helper()
	body := bodyOf(t, res)
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	if res.StatusCode != status || p.Status != status || p.Type == "" || p.Title == "" || !strings.Contains(body, says) {
		t.Errorf("%s %s: want %d and %q", res.Status, body, status, says)
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
}

func TestDocuments(t *testing.T) {
	const (
		pump  = `{"name":"pump","thing":true,"online":true,"since":500,"source":"10.0.3.7:4711","certificates":[{"id":"c1","status":"ACTIVE","notAfter":99000}],`
		last  = `"last":{"ts":1.50,"time":1004,"seq":14,"payload":{"n": 4.10, "t":"<&>"}}}`
		tag   = `{"name":"\u003cb\u003ex\u003c/b\u003e","thing":false,"online":false,"since":null,"source":null,"certificates":[],`
		spare = `{"name":"spare","thing":true,"online":false,"since":null,"source":null,"certificates":[],"last":null}`
	)
	tests := []struct{ name, target, want string }{
		{"the latest item, byte for byte", "/prod/iotdata?device_id=pump", `{"device_id":"pump","ts":1.50,"payload":{"n": 4.10, "t":"<&>"}}`},
		{"no item", "/prod/iotdata?device_id=nobody", `{}`},
		{"the latest items", "/prod/iotdata", `[{"device_id":"\u003cb\u003ex\u003c/b\u003e","ts":"7","payload":[1, 2]},{"device_id":"pump","ts":1.50,"payload":{"n": 4.10, "t":"<&>"}}]`},
		{"history", "/prod/iotdata?device_id=pump&from=1001&to=1002", `{"items":[{"device_id":"pump","ts":1.50,"time":1001,"seq":11,"payload":{"n": 1.10, "t":"<&>"}}]}`},
		{"devices", "/api/devices", `{"devices":[` + tag + `"last":{"ts":"7","time":7000,"seq":1,"payload":[1, 2]}},` + pump + last + `,` + spare + `],"total":3}`},
		{"a device", "/api/devices/pump", pump + `"policies":["IoTBasicPolicy"],"topic":"sensor/data",` + last},
		{"a device whose name is escaped", "/api/devices/%3Cb%3Ex%3C%2Fb%3E", tag + `"topic":"sensor/data","last":{"ts":"7","time":7000,"seq":1,"payload":[1, 2]}}`},
		{"presence", "/api/presence", `{"online":{"pump":{"since":500,"source":"10.0.3.7:4711"}},"connections":1,"lastSeq":42,"deadLetters":3}`},
		{"rules", "/api/rules", `[{"name":"SendToLambdaRule","sql":"SELECT * FROM 'sensor/data'","enabled":true,"permission":false,"actions":["lambda ProcessIoTData"],"matched":3,"fired":0,"failed":0,"lastError":""}]`},
		{"connections", "/api/connections", `[{"connectionId":"L0SM9cOFvHcCIhw=","connectedAt":"1970-01-01T00:00:01Z","sourceIp":"127.0.0.1"}]`},
	}
	a := serve(t, newWorld(), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(a, "GET", tt.target, "")
			if got := bodyOf(t, res); res.StatusCode != 200 || got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", res.Status, got, tt.want)
			}
			if got := res.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, method, target string
		status               int
		says                 string
	}{
		{"a bad limit", "GET", "/prod/iotdata?limit=x", 400, "limit=x"},
		{"a bad from", "GET", "/prod/iotdata?device_id=a&from=yesterday", 400, "from=yesterday"},
		{"a bad to", "GET", "/prod/iotdata?device_id=a&to=-1", 400, "to=-1"},
		{"a bad order", "GET", "/prod/iotdata?device_id=a&order=up", 400, "order=up"},
		{"a bad cursor", "GET", "/prod/iotdata?cursor=e30", 400, "cursor=e30"},
		{"a method of its own", "DELETE", "/prod/iotdata", 405, "GET"},
		{"a bad page of devices", "GET", "/api/devices?limit=1001", 400, "limit=1001"},
		{"a bad cursor of devices", "GET", "/api/devices?cursor=%21", 400, "cursor"},
		{"no such device", "GET", "/api/devices/nobody", 404, "nobody"},
		{"no such resource", "GET", "/api/nothing", 404, "/api/nothing"},
		{"writing to the page", "POST", "/", 405, "GET"},
	}
	a := serve(t, newWorld(), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { problem(t, ask(a, tt.method, tt.target, ""), tt.status, tt.says) })
	}
	w := newWorld()
	w.failing = errors.New("disk on fire")
	a = serve(t, w, nil)
	for _, target := range []string{"/prod/iotdata?device_id=pump", "/prod/iotdata", "/prod/iotdata?device_id=pump&from=0", "/api/devices", "/api/devices/pump", "/api/connections", "/api/presence"} {
		res := ask(a, "GET", target, "")
		if problem(t, res, 500, "log"); strings.Contains(bodyOf(t, res), "fire") {
			t.Errorf("%s tells strangers about the store", target)
		}
	}
}

func TestEveryErrorHasItsStatus(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for err, want := range map[error]int{
		iot.ErrInvalid: 400, iot.ErrDenied: 403, iot.ErrNotFound: 404, iot.ErrExists: 409, iot.ErrConflict: 409,
		iot.ErrLimit: 429, iot.ErrNoSpace: 503, iot.ErrOutboxFull: 503, io.ErrUnexpectedEOF: 500,
	} {
		w := httptest.NewRecorder()
		a.writeError(w, httptest.NewRequest("GET", "/", nil), fmt.Errorf("noun: %w", err))
		if w.Code != want {
			t.Errorf("%v: status %d, want %d", err, w.Code, want)
		}
	}
}

// TestLinksWalkEveryPage follows what the answers say, forwards and backwards.
func TestLinksWalkEveryPage(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for _, tt := range []struct {
		target string
		want   string
	}{
		{"/prod/iotdata?limit=1", "<b>x</b> pump"},
		{"/prod/iotdata?device_id=pump&from=0&limit=2", "10 11 12 13 14"},
		{"/prod/iotdata?device_id=pump&to=2000&limit=2&order=desc", "14 13 12 11 10"},
		{"/prod/iotdata?device_id=pump&from=0&limit=5", "10 11 12 13 14"},
		{"/api/devices?limit=1", "<b>x</b> pump spare"},
		{"/api/devices?limit=2", "<b>x</b> pump spare"},
	} {
		var got []string
		for target := tt.target; target != ""; {
			res := ask(a, "GET", target, "")
			body := bodyOf(t, res)
			got = append(got, names(t, body)...)
			var page struct{ Cursor string }
			_ = json.Unmarshal([]byte(body), &page) // an array has none
			link := res.Header.Get("Link")
			next, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
			if link != "" && !ok {
				t.Fatalf("Link: %s", link)
			}
			switch here, err := url.Parse(target); {
			case err != nil:
				t.Fatal(err)
			case next != "":
				to, err := here.Parse(next)
				if err != nil {
					t.Fatalf("Link: %s", link)
				}
				target = to.String()
			case page.Cursor != "":
				target = tt.target + "&cursor=" + page.Cursor
			default:
				target = ""
			}
		}
		if joined := strings.Join(got, " "); joined != tt.want {
			t.Errorf("%s: %s, want %s", tt.target, joined, tt.want)
		}
	}
}

// names returns what a page lists: device ids and names, or the seqs of history.
func names(t *testing.T, body string) (list []string) {
	t.Helper()
	type item struct {
		DeviceID string `json:"device_id"`
		Name     string
		Seq      int
	}
	var items []item
	if strings.HasPrefix(body, "{") {
		var page struct{ Items, Devices []item }
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		items = append(page.Items, page.Devices...)
	} else if err := json.Unmarshal([]byte(body), &items); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, i := range items {
		if i.Seq > 0 {
			list = append(list, fmt.Sprint(i.Seq))
		} else {
			list = append(list, i.DeviceID+i.Name)
		}
	}
	return list
}

func TestTheFirstPageCountsAllDevices(t *testing.T) {
	w := newWorld()
	for i := range maxDevices + 7 {
		name := fmt.Sprintf("n%04d", i)
		w.things = slices.Insert(w.things, i, iot.Thing{Name: name})
		w.readings[name] = []iot.Reading{{DeviceID: name, TS: "1", Payload: []byte("1")}}
	}
	body := bodyOf(t, ask(serve(t, w, nil), "GET", "/api/devices?limit=2", ""))
	if want := fmt.Sprintf(`"total":%d}`, maxDevices+10); !strings.HasSuffix(body, want) {
		t.Errorf("%s, want %s", body, want)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld()
	a := serve(t, w, func(c *Config) { c.OpenLooking = false })
	for _, target := range []string{"/healthz", "/readyz"} {
		if res := ask(a, "GET", target, ""); res.StatusCode != 200 {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
	w.notReady = errors.New("the disk is full")
	problem(t, ask(a, "GET", "/readyz", ""), 503, "the disk is full")
	if res := ask(a, "GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("a server that is not ready is not healthy: %s", res.Status)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("New of nothing: %v", err)
	}
}

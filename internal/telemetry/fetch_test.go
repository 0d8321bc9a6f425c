package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// shelf is a Readings in memory: the history of each device, in order.
type shelf map[string][]iot.Reading

func (s shelf) Latest(_ context.Context, device string) (iot.Reading, error) {
	if h := s[device]; len(h) > 0 {
		return h[len(h)-1], nil
	}
	return iot.Reading{}, fmt.Errorf("device %q: %w", device, iot.ErrNotFound)
}

func (s shelf) LatestPage(_ context.Context, after string, limit int) ([]iot.Reading, error) {
	var page []iot.Reading
	for _, h := range s {
		if last := h[len(h)-1]; last.DeviceID > after {
			page = append(page, last)
		}
	}
	slices.SortFunc(page, func(a, b iot.Reading) int { return strings.Compare(a.DeviceID, b.DeviceID) })
	return page[:min(limit, len(page))], nil
}

func (s shelf) History(_ context.Context, q iot.HistoryQuery) ([]iot.Reading, error) {
	all := slices.Clone(s[q.DeviceID])
	if q.Desc {
		slices.Reverse(all)
	}
	var page []iot.Reading
	for _, r := range all {
		behind := q.After == nil || (r.Seq > q.After.Seq) != q.Desc && r.Seq != q.After.Seq
		if r.Time >= q.From && (q.To == 0 || r.Time < q.To) && behind && len(page) < q.Limit {
			page = append(page, r)
		}
	}
	return page, nil
}

func newShelf() shelf {
	s := make(shelf)
	for i := range 7 {
		s["b"] = append(s["b"], iot.Reading{DeviceID: "b", TS: "1.50", Time: int64(1000 + i), Seq: uint64(10 + i), Payload: fmt.Appendf(nil, `{"n": %d.10}`, i)})
	}
	s["a"] = []iot.Reading{{DeviceID: "a", TS: `"7"`, Time: 7000, Seq: 1, Payload: []byte(`[1, 2]`)}}
	s[`<"c">`] = []iot.Reading{{DeviceID: `<"c">`, TS: "3", Time: 3000, Seq: 2, Payload: []byte(`{}`)}}
	return s
}

func fetch(t *testing.T, query string) Response {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuery(values)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Fetch(context.Background(), newShelf(), q)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(res.Body) {
		t.Fatalf("not JSON: %s", res.Body)
	}
	return res
}

func TestFetch(t *testing.T) {
	tests := []struct{ name, query, want string }{
		{"the latest item, numbers as they were sent", "device_id=b", `{"device_id":"b","ts":1.50,"payload":{"n": 6.10}}`},
		{"no reading is an empty object", "device_id=nobody", `{}`},
		{"all devices", "", `[{"device_id":"\u003c\"c\"\u003e","ts":3,"payload":{}},{"device_id":"a","ts":"7","payload":[1, 2]},{"device_id":"b","ts":1.50,"payload":{"n": 6.10}}]`},
		{"an empty device_id is all devices", "device_id=&limit=1000", `[{"device_id":"\u003c\"c\"\u003e","ts":3,"payload":{}},{"device_id":"a","ts":"7","payload":[1, 2]},{"device_id":"b","ts":1.50,"payload":{"n": 6.10}}]`},
		{"history, half-open", "device_id=b&from=1001&to=1003", `{"items":[{"device_id":"b","ts":1.50,"time":1001,"seq":11,"payload":{"n": 1.10}},{"device_id":"b","ts":1.50,"time":1002,"seq":12,"payload":{"n": 2.10}}]}`},
		{"history by RFC 3339", "device_id=b&to=1970-01-01T00:00:01.001Z", `{"items":[{"device_id":"b","ts":1.50,"time":1000,"seq":10,"payload":{"n": 0.10}}]}`},
		{"history of nobody", "device_id=nobody&from=0", `{"items":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fetch(t, tt.query); string(got.Body) != tt.want {
				t.Errorf("got  %s\nwant %s", got.Body, tt.want)
			}
		})
	}
}

func TestCursorsWalkEveryPageOnce(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  []uint64
	}{
		{"device_id=b&from=0&limit=2", []uint64{10, 11, 12, 13, 14, 15, 16}},
		{"device_id=b&from=0&limit=3&order=desc", []uint64{16, 15, 14, 13, 12, 11, 10}},
		{"device_id=b&from=0&limit=7", []uint64{10, 11, 12, 13, 14, 15, 16}},
	} {
		var got []uint64
		cursor := ""
		for {
			res := fetch(t, tt.query+"&cursor="+cursor)
			var page struct {
				Items  []struct{ Seq uint64 }
				Cursor string
			}
			if err := json.Unmarshal(res.Body, &page); err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				got = append(got, item.Seq)
			}
			if page.Cursor != res.Cursor {
				t.Errorf("cursor %q in the body, %q in the response", page.Cursor, res.Cursor)
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.query, got, tt.want)
		}
	}
	if first := fetch(t, "limit=2"); first.Cursor == "" {
		t.Error("three devices, two a page: no cursor")
	} else if rest := fetch(t, "limit=2&cursor="+first.Cursor); rest.Cursor != "" || !strings.Contains(string(rest.Body), `"b"`) {
		t.Errorf("second page: %s, cursor %q", rest.Body, rest.Cursor)
	}
}

func TestParseQueryRefuses(t *testing.T) {
	for _, tt := range []struct{ query, name string }{
		{"device_id=b&from=yesterday", "from"},
		{"device_id=b&to=-5", "to"},
		{"from=0", "device_id"},
		{"limit=0", "limit"},
		{"limit=1001", "limit"},
		{"limit=x", "limit"},
		{"order=up", "order"},
		{"cursor=%21", "cursor"},
		{"cursor=e30", "cursor"},
		{"device_id=b&from=0&cursor=" + encodeCursor(cursor{Device: "b"}), "cursor"},
	} {
		values, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseQuery(values)
		if parameter, ok := errors.AsType[*ParameterError](err); !ok || parameter.Name != tt.name || !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v, want a complaint about %s", tt.query, err, tt.name)
		}
	}
}

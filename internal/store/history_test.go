package store

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestTheNewestReadingIsTheLatest(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.put(reading("d", 100, `"first"`))
	r.put(reading("d", 50, `"older"`), reading("d", 100, `"equal, later"`), reading("d", 99, `"older"`))
	got, err := r.Latest("d")
	if err != nil || string(got.Payload) != `"equal, later"` || got.Seq != 3 {
		t.Errorf("latest is %+v, %v", got, err)
	}
	// Without the cache, against what is stored.
	r.sequencer.devices = newDeviceCache(1)
	r.put(reading("d", 99, `"older still"`))
	if got, _ := r.Latest("d"); got.Seq != 3 {
		t.Errorf("an older reading replaced the latest: %+v", got)
	}
	_, err = r.Latest("nobody")
	wantErr(t, "unknown device", err, iot.ErrNotFound)
}

func TestReadingsWithoutDeviceAreUnknown(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.put(reading("", 1, "{}"))
	if _, err := r.Latest(iot.UnknownDevice); err != nil {
		t.Error(err)
	}
}

func TestLatestPages(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	devices := []string{"a", "a\x00", "a\x00b", "ab", "b\xff", "ü"}
	for n, d := range devices {
		r.put(reading(d, int64(n), "{}"))
	}
	var got []string
	for after := ""; ; {
		page, err := r.LatestPage(after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, reading := range page {
			got = append(got, reading.DeviceID)
		}
		after = page[len(page)-1].DeviceID
	}
	if !slices.Equal(got, devices) {
		t.Errorf("pages give %q, want %q", got, devices)
	}
}

// manyDevices have names that are prefixes of one another or hold any byte.
var manyDevices = []string{"a", "a\x00", "a\x00\x01", "a\x00\xff", "ab", "MyDevice001", "MyDevice0010", "\xff\xfe"}

func TestHistoryGivesAnyRangeInBothDirections(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	stored := make(map[string][]iot.Reading)
	times := []int64{-bucketMillis - 1, -1, 0, 1, 1, bucketMillis - 1, bucketMillis, 5 * bucketMillis, 5*bucketMillis + 7, 3}
	for _, ms := range times { // the last one is late
		for _, d := range manyDevices {
			in := reading(d, ms, fmt.Sprintf("%q", d))
			r.put(in)
			in.Seq = r.LastSeq()
			stored[d] = append(stored[d], in)
		}
	}
	for _, d := range manyDevices {
		slices.SortFunc(stored[d], func(a, b iot.Reading) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Seq, b.Seq)) })
		for _, from := range append(times, math.MinInt64) {
			for _, to := range append(times, math.MaxInt64) {
				for _, limit := range []int{0, 1, 3} {
					for _, desc := range []bool{false, true} {
						checkHistory(t, r.Store, stored[d], iot.HistoryQuery{DeviceID: d, From: from, To: to, Limit: limit, Desc: desc})
					}
				}
			}
		}
	}
	if rows, err := r.History(iot.HistoryQuery{DeviceID: "nobody"}); err != nil || len(rows) != 0 {
		t.Errorf("history of nobody: %v, %v", rows, err)
	}
}

// checkHistory pages through q and compares with the sorted readings of the device.
func checkHistory(t *testing.T, s *Store, stored []iot.Reading, q iot.HistoryQuery) {
	t.Helper()
	var want []iot.Reading
	for _, r := range stored {
		if r.Time >= q.From && (q.To == 0 || r.Time < q.To) {
			want = append(want, r)
		}
	}
	if q.Desc {
		slices.Reverse(want)
	}
	var got []iot.Reading
	for {
		page, err := s.History(q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if q.Limit == 0 || len(page) < q.Limit {
			break
		}
		last := page[len(page)-1]
		q.After = &iot.HistoryPos{Time: last.Time, Seq: last.Seq}
	}
	if !slices.EqualFunc(got, want, sameReading) {
		t.Fatalf("%+v gives\n%v, want\n%v", q, got, want)
	}
}

func sameReading(a, b iot.Reading) bool {
	return a.DeviceID == b.DeviceID && a.TS == b.TS && a.Time == b.Time && a.Seq == b.Seq && string(a.Payload) == string(b.Payload)
}

func TestSinceGivesExactlyWhatWasMissed(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	var stored []iot.Reading
	for n := range 50 {
		var batch []iot.Reading
		for m := range n%4 + 1 {
			in := reading(manyDevices[(n+m)%3], int64(1000*n-m), "{}")
			in.Seq = uint64(len(stored) + 1)
			batch, stored = append(batch, in), append(stored, in)
		}
		r.put(batch...)
	}
	if oldest, last := r.OldestSeq(), r.LastSeq(); oldest != 1 || last != uint64(len(stored)) {
		t.Fatalf("oldest %d, last %d", oldest, last)
	}
	for _, device := range []string{"", manyDevices[1], "nobody"} {
		for after := range uint64(len(stored) + 2) {
			for _, upTo := range []uint64{0, 7, r.LastSeq(), r.LastSeq() + 10} {
				for _, limit := range []int{0, 1, 5} {
					checkSince(t, r.Store, stored, after, upTo, device, limit)
				}
			}
		}
	}
}

func checkSince(t *testing.T, s *Store, stored []iot.Reading, after, upTo uint64, device string, limit int) {
	t.Helper()
	var want, got []iot.Reading
	for _, r := range stored {
		if r.Seq > after && r.Seq <= upTo && (device == "" || device == r.DeviceID) {
			want = append(want, r)
		}
	}
	for next := after; next < min(upTo, s.LastSeq()); {
		page, looked, err := s.Since(next, upTo, device, limit)
		if err != nil || looked <= next || limit > 0 && len(page) > limit {
			t.Fatalf("Since(%d, %d, %q, %d): %d readings, next %d, %v", next, upTo, device, limit, len(page), looked, err)
		}
		got, next = append(got, page...), looked
	}
	if !slices.EqualFunc(got, want, sameReading) {
		t.Fatalf("since %d up to %d, device %q, limit %d:\n%v, want\n%v", after, upTo, device, limit, got, want)
	}
}

func TestRetentionDropsWholeBuckets(t *testing.T) {
	clock := &fixedClock{at: epoch}
	cfg := testConfig(vfs.NewMem())
	cfg.Now = clock.now
	r := start(t, cfg)
	day := epoch.UnixMilli() - epoch.UnixMilli()%bucketMillis
	for n := range int64(4) {
		r.put(reading("a", day+n*bucketMillis, "{}"), reading("b", day+n*bucketMillis+5, "{}"))
		clock.move(6 * hour)
	}
	third := day + 2*bucketMillis
	if err := r.DropHistoryBefore(third + 17); err != nil { // within the third: it stays
		t.Fatal(err)
	}
	for _, d := range []string{"a", "b"} {
		rows, err := r.History(iot.HistoryQuery{DeviceID: d})
		if err != nil || len(rows) != 2 || rows[0].Time < third {
			t.Errorf("device %s has rows %v, %v", d, rows, err)
		}
		if _, err := r.Latest(d); err != nil {
			t.Errorf("latest of %s: %v", d, err)
		}
	}
	if oldest := r.OldestSeq(); oldest != 5 {
		t.Errorf("oldest seq %d, want 5", oldest)
	}
	if rows, next, err := r.Since(0, r.LastSeq(), "", 0); err != nil || len(rows) != 4 || rows[0].Seq != 5 || next != 8 {
		t.Errorf("since 0: %d readings, next %d, %v", len(rows), next, err)
	}
	for table, want := range map[byte]int{tableHistory: 4, tableBucketDevices: 4, tableDeviceBuckets: 4, tableSeqIndex: 2} {
		if got := r.count(table); got != want {
			t.Errorf("table %c has %d records, want %d", table, got, want)
		}
	}

	// A late row fits into a bucket that was dropped, and goes with the next drop.
	r.put(reading("a", day, `"late"`))
	if rows, err := r.History(iot.HistoryQuery{DeviceID: "a"}); err != nil || len(rows) != 3 || string(rows[0].Payload) != `"late"` {
		t.Errorf("with a late row: %v, %v", rows, err)
	}
	clock.move(hour)
	if err := r.DropHistoryBefore(clock.now().UnixMilli() + bucketMillis); err != nil {
		t.Fatal(err)
	}
	for _, table := range []byte{tableHistory, tableBucketDevices, tableDeviceBuckets, tableSeqIndex} {
		if got := r.count(table); got != 0 {
			t.Errorf("table %c has %d records after everything was dropped", table, got)
		}
	}
	if oldest := r.OldestSeq(); oldest != r.LastSeq()+1 {
		t.Errorf("oldest seq %d of none, want %d", oldest, r.LastSeq()+1)
	}
	r.put(reading("a", day, `"later"`))
	if got := r.LastSeq(); got != 10 {
		t.Errorf("last seq %d, want 10", got)
	}
}

// count returns the number of records in a table.
func (r *running) count(table byte) (n int) {
	r.t.Helper()
	err := r.engine.scan([]byte{table}, []byte{table + 1}, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestUnsyncedReadingsAreNotShown looks at the store between apply and sync.
func TestUnsyncedReadingsAreNotShown(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.put(reading("d", 1, "{}"))
	g := &group{}
	c := &iot.Commit{Lane: new(iot.Lane), Effects: []iot.Effect{
		&iot.PutReading{Reading: reading("d", 2, "{}")}, &iot.PutReading{Reading: reading("e", 2, "{}")}, &iot.Enqueue{Action: "lambda"},
	}}
	g.items, g.commits = []queued{{c, c.Lane, 1}}, []*iot.Commit{c}
	r.build(g)
	if g.err != nil {
		t.Fatal(g.err)
	}

	if rows, err := r.History(iot.HistoryQuery{DeviceID: "d"}); err != nil || len(rows) != 1 {
		t.Errorf("history shows %v, %v", rows, err)
	}
	if rows, _, err := r.Since(0, 9, "", 0); err != nil || len(rows) != 1 {
		t.Errorf("since shows %v, %v", rows, err)
	}
	if lanes := r.OutboxLanes(); len(lanes) != 0 {
		t.Errorf("outbox shows %v", lanes)
	}
	type result struct {
		seq uint64
		err error
	}
	waited := make(chan result, 2)
	go func() {
		got, err := r.Latest("d")
		waited <- result{got.Seq, err}
	}()
	go func() {
		page, err := r.LatestPage("", 0)
		if err == nil && len(page) != 2 {
			err = errors.New("a device is missing")
		}
		waited <- result{2, err}
	}()
	if err := r.settle(g); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-waited; got.err != nil || got.seq != 2 {
			t.Errorf("latest: %+v", got)
		}
	}
	if lanes := r.OutboxLanes(); len(lanes) != 1 {
		t.Errorf("outbox shows %v after the sync", lanes)
	}
}

func TestDeviceCacheRotates(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.sequencer.devices = newDeviceCache(2)
	for n := range 20 {
		for d := range 5 {
			r.put(reading(fmt.Sprint(d), int64(n), "{}"), reading(fmt.Sprint(d), int64(n-1), "{}"))
		}
	}
	for d := range 5 {
		if got, err := r.Latest(fmt.Sprint(d)); err != nil || got.Time != 19 {
			t.Errorf("latest of %d: %+v, %v", d, got, err)
		}
	}
	if n := len(r.sequencer.devices.young) + len(r.sequencer.devices.old); n > 6 {
		t.Errorf("the cache holds %d devices", n)
	}
}

package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// model is the store as plain slices and maps. Every operation is done on both,
// and every answer compared.
type model struct {
	t      *testing.T
	random *rand.Rand
	clock  *fixedClock
	cfg    Config
	store  *running
	steps  []string

	rows    map[string][]iot.Reading // by device, ordered by (Time, Seq)
	latest  map[string]iot.Reading
	seq     uint64
	dropped int64 // history before this time is gone
	outbox  map[iot.OutboxLane][]string
	applied map[uint16]int64 // the hour in which a publish was applied, by packet id
}

func TestAgainstAModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			clock := &fixedClock{at: epoch}
			cfg := testConfig(vfs.NewMem())
			cfg.Now = clock.now
			m := &model{
				t: t, random: rand.New(rand.NewPCG(seed, 0)), clock: clock, cfg: cfg, store: run(t, open(t, cfg)),
				rows: make(map[string][]iot.Reading), latest: make(map[string]iot.Reading),
				outbox: make(map[iot.OutboxLane][]string), applied: make(map[uint16]int64), dropped: -1 << 62,
			}
			defer func() {
				m.store.close()
				if t.Failed() {
					t.Logf("last steps: %q", m.steps[max(0, len(m.steps)-40):])
				}
			}()
			for range 300 {
				m.step()
			}
		})
	}
}

// step does something at random, most often a commit.
func (m *model) step() {
	m.clock.move(hour / 60)
	switch n := m.random.IntN(100); {
	case n < 50:
		m.commit()
	case n < 60:
		m.checkDevice(m.device())
	case n < 70:
		m.checkSince()
	case n < 78:
		m.checkLatest()
	case n < 86:
		m.consume()
	case n < 92:
		m.takeOut()
	case n < 94:
		m.retain()
	case n < 96:
		m.note("flush")
		if err := m.store.engine.Flush(); err != nil {
			m.t.Fatal(err)
		}
	default:
		m.reopen()
	}
}

func (m *model) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

func (m *model) device() string { return manyDevices[m.random.IntN(len(manyDevices))] }

// commit submits some effects, sometimes as a retransmission.
func (m *model) commit() {
	id := uint16(m.random.IntN(20))
	c := &iot.Commit{Sender: "c", PacketID: id, Digest: uint64(id), Dup: m.random.IntN(3) == 0}
	now := m.clock.now().UnixMilli()
	for n := range m.random.IntN(5) + 1 {
		if m.random.IntN(4) == 0 {
			c.Effects = append(c.Effects, &iot.Enqueue{Action: "lambda", Key: m.device(), Body: fmt.Append(nil, m.seq, n)})
			continue
		}
		at := now - int64(m.random.ExpFloat64()*bucketMillis)
		at -= at % 1000 // so that some are equal
		c.Effects = append(c.Effects, &iot.PutReading{Reading: reading(m.device(), at, fmt.Sprintf(`{"n":%d.%d}`, m.seq, n))})
	}
	effects := slices.Clone(c.Effects)
	thisHour := m.clock.now().Unix() / 3600
	appliedIn, ok := m.applied[id]
	duplicate := c.Dup && ok && thisHour-appliedIn <= 1
	m.note("commit %d effects, id %d, dup %t", len(effects), id, c.Dup)
	if err := m.store.commit(c); err != nil {
		m.t.Fatal(err)
	}
	if !duplicate {
		m.applied[id] = thisHour
		m.apply(effects)
	}
	if got := m.store.LastSeq(); got != m.seq {
		m.t.Fatalf("last seq %d, want %d", got, m.seq)
	}
}

func (m *model) apply(effects []iot.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case *iot.Enqueue:
			lane := iot.LaneOf(e.Action, e.Key)
			m.outbox[lane] = append(m.outbox[lane], e.Key+string(e.Body))
		case *iot.PutReading:
			m.seq++
			r := e.Reading
			r.Seq = m.seq
			rows := append(m.rows[r.DeviceID], r)
			slices.SortFunc(rows, func(a, b iot.Reading) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Seq, b.Seq)) })
			m.rows[r.DeviceID] = rows
			if old, ok := m.latest[r.DeviceID]; !ok || r.Newer(&old) {
				m.latest[r.DeviceID] = r
			}
		}
	}
}

func (m *model) checkDevice(device string) {
	m.note("history of %q", device)
	now := m.clock.now().UnixMilli()
	q := iot.HistoryQuery{DeviceID: device, From: now - m.random.Int64N(8*bucketMillis), Limit: m.random.IntN(6), Desc: m.random.IntN(2) == 0}
	if m.random.IntN(2) == 0 {
		q.To = q.From + m.random.Int64N(8*bucketMillis)
	}
	checkHistory(m.t, m.store.Store, m.rows[device], q)
}

func (m *model) checkSince() {
	after := m.random.Uint64N(m.seq + 1)
	m.note("since %d", after)
	var stored []iot.Reading
	for _, rows := range m.rows {
		stored = append(stored, rows...)
	}
	slices.SortFunc(stored, func(a, b iot.Reading) int { return cmp.Compare(a.Seq, b.Seq) })
	oldest := m.store.OldestSeq()
	stored = slices.DeleteFunc(stored, func(r iot.Reading) bool { return r.Seq < oldest })
	device := ""
	if m.random.IntN(2) == 0 {
		device = m.device()
	}
	checkSince(m.t, m.store.Store, stored, after, m.seq, device, m.random.IntN(4))
}

func (m *model) checkLatest() {
	m.note("latest")
	page, err := m.store.LatestPage("", 0)
	if err != nil || len(page) != len(m.latest) {
		m.t.Fatalf("latest of %d devices, want %d, %v", len(page), len(m.latest), err)
	}
	for _, r := range page {
		if !sameReading(r, m.latest[r.DeviceID]) {
			m.t.Fatalf("latest %+v, want %+v", r, m.latest[r.DeviceID])
		}
	}
}

// consume does some of the entries of one lane.
func (m *model) consume() {
	lanes := m.store.OutboxLanes()
	if len(lanes) == 0 {
		for lane, waiting := range m.outbox {
			m.t.Fatalf("lane %v is missing, with %q", lane, waiting)
		}
		return
	}
	lane := lanes[m.random.IntN(len(lanes))]
	entries, err := m.store.OutboxPeek(lane, 0, m.random.IntN(3)+1)
	if err != nil || len(entries) == 0 {
		m.t.Fatalf("peek: %d entries, %v", len(entries), err)
	}
	m.note("consume %d of %v", len(entries), lane)
	for i, e := range entries {
		if got, want := e.Key+string(e.Body), m.outbox[lane][i]; got != want {
			m.t.Fatalf("entry %d of %v is %q, want %q", i, lane, got, want)
		}
	}
	last := entries[len(entries)-1]
	if m.random.IntN(5) == 0 {
		err = m.store.OutboxDead(last, iot.DeadLetter{Reason: "at random"})
	}
	if err == nil {
		err = m.store.OutboxDone(lane, last.ID)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if m.outbox[lane] = m.outbox[lane][len(entries):]; len(m.outbox[lane]) == 0 {
		delete(m.outbox, lane)
	}
	m.checkWaiting()
}

// takeOut removes an entry from anywhere in its lane, or puts it back at the end.
func (m *model) takeOut() {
	lanes := m.store.OutboxLanes()
	if len(lanes) == 0 {
		return
	}
	lane := lanes[m.random.IntN(len(lanes))]
	entries, err := m.store.OutboxPeek(lane, 0, 1000)
	if err != nil || len(entries) != len(m.outbox[lane]) {
		m.t.Fatalf("%d entries in %v, want %d: %v", len(entries), lane, len(m.outbox[lane]), err)
	}
	i := m.random.IntN(len(entries))
	e := entries[i]
	m.note("take %d of %d out of %v", i, len(entries), lane)
	m.outbox[lane] = slices.Delete(slices.Clone(m.outbox[lane]), i, i+1)
	if len(m.outbox[lane]) == 0 {
		delete(m.outbox, lane)
	}
	switch m.random.IntN(3) {
	case 0:
		err = m.store.OutboxDead(e, iot.DeadLetter{Reason: "at random"})
	case 1:
		err = m.store.OutboxDrop(e)
	default:
		if err = m.store.OutboxDead(e, iot.DeadLetter{Reason: "at random"}); err == nil {
			_, err = m.store.RetryDeadLetter(m.store.sequencer.dead)
			m.outbox[lane] = append(m.outbox[lane], e.Key+string(e.Body))
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.checkWaiting()
}

// checkWaiting compares what the outbox counts with what waits.
func (m *model) checkWaiting() {
	m.t.Helper()
	var waiting tally
	for _, bodies := range m.outbox {
		for _, b := range bodies {
			waiting = waiting.plus(tally{entrySize("", []byte(b)), 1})
		}
	}
	var counted tally
	for _, l := range m.store.outbox.lanes {
		counted = counted.plus(l.waiting())
	}
	var held tally
	for h := range m.store.outbox.holdings() {
		held = held.plus(tally{h.bytes.Load(), h.entries.Load()})
	}
	if counted != waiting || held != waiting {
		m.t.Fatalf("the outbox counts %+v in lanes and %+v in all, want %+v", counted, held, waiting)
	}
}

// retain drops old history.
func (m *model) retain() {
	before := m.clock.now().UnixMilli() - m.random.Int64N(4*bucketMillis)
	m.note("drop before %d", before)
	if err := m.store.DropHistoryBefore(before); err != nil {
		m.t.Fatal(err)
	}
	before -= before % bucketMillis
	for device, rows := range m.rows {
		m.rows[device] = slices.DeleteFunc(rows, func(r iot.Reading) bool { return r.Time < before })
	}
	for device := range m.rows {
		checkHistory(m.t, m.store.Store, m.rows[device], iot.HistoryQuery{DeviceID: device})
	}
}

func (m *model) reopen() {
	m.note("reopen")
	if err := m.store.close(); err != nil {
		m.t.Fatal(err)
	}
	m.store = run(m.t, open(m.t, m.cfg))
	if got := m.store.LastSeq(); got != m.seq {
		m.t.Fatalf("last seq %d after reopen, want %d", got, m.seq)
	}
	m.checkWaiting()
}

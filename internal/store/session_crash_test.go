package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// exchange is one message of QoS 2 on its way from a publisher to two
// subscribers. Party 0 is the publisher: step 1 is Receive with the message,
// step 2 Release. The others are the subscribers: step 1 settles the message as
// released, step 2 as done.
type exchange struct {
	numbers [3]uint64 // in the queues of the subscribers
	sent    [3]int    // the step that was submitted last
	acked   [3]int    // the step whose receipt was told last
}

// party plays the exchanges of one publisher with its two subscribers, whose
// sessions are base, base+1 and base+2.
type party struct {
	base   uint64
	random *rand.Rand

	mu        sync.Mutex
	exchanges []exchange
	news      chan struct{}
}

// step is what Committed is told of, packed into a slot.
func (p *party) Committed(slot uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.exchanges[slot>>8].acked[slot>>4&15] = int(slot & 15)
	}
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// take chooses a step that may be done now and notes that it is submitted.
func (p *party) take() (n, who, step int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var open [][2]int
	for n := range p.exchanges {
		x := &p.exchanges[n]
		for who := range x.sent {
			waits := x.sent[who] != x.acked[who]
			if !waits && x.sent[who] < 2 && (who == 0 || x.acked[0] > 0) {
				open = append(open, [2]int{n, who})
			}
		}
		if len(open) >= 8 {
			break
		}
	}
	if len(open) == 0 {
		return 0, 0, 0, false
	}
	choice := open[p.random.IntN(len(open))]
	n, who = choice[0], choice[1]
	p.exchanges[n].sent[who]++
	return n, who, p.exchanges[n].sent[who], true
}

func (p *party) finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !slices.ContainsFunc(p.exchanges, func(x exchange) bool { return x.acked != [3]int{2, 2, 2} })
}

// play does steps until all are done or stop is closed.
func (p *party) play(t *testing.T, s *Store, stop <-chan struct{}) {
	lane := &iot.Lane{ID: p.base}
	for !p.finished() {
		select {
		case <-stop:
			return
		default:
		}
		n, who, step, ok := p.take()
		if !ok {
			select {
			case <-p.news:
			case <-stop:
				return
			}
			continue
		}
		if err := p.submit(s, lane, n, who, step); err != nil {
			t.Error(err)
			return
		}
	}
}

// submit does a step. Half of what subscribers settle has nobody who waits.
func (p *party) submit(s *Store, lane *iot.Lane, n, who, step int) error {
	c := &iot.Commit{Lane: lane, Receipt: p, Slot: uint64(n<<8 | who<<4 | step)}
	id := uint16(n + 1)
	switch {
	case who == 0 && step == 1:
		m := message("t", fmt.Sprint(n))
		q := &iot.Queue{Message: m, Targets: []iot.Target{{Session: p.base + 1, QoS: 2}, {Session: p.base + 2, QoS: 2}}}
		c.Messages = []*iot.Message{m}
		c.Effects = []iot.Effect{&iot.Receive{Session: p.base, PacketID: id}, q}
		c.Receipt = numbered{p, q}
	case who == 0:
		c.Effects = []iot.Effect{&iot.Release{Session: p.base, PacketID: id}}
	default:
		settle := &iot.Settle{Session: p.base + uint64(who)}
		p.mu.Lock()
		number := p.exchanges[n].numbers[who]
		p.mu.Unlock()
		if settle.Done = []uint64{number}; step == 1 {
			settle.Done, settle.Released = nil, settle.Done
		}
		c.Effects = []iot.Effect{settle}
		if n%2 == 0 {
			c.Receipt = nil
			defer p.Committed(c.Slot, nil) // the broker goes on at once
		}
	}
	return s.Submit(c)
}

// numbered notes the numbers of what was queued before the receipt is told.
type numbered struct {
	*party
	q *iot.Queue
}

func (r numbered) Committed(slot uint64, err error) {
	r.mu.Lock()
	x := &r.exchanges[slot>>8]
	x.numbers[1], x.numbers[2] = r.q.Targets[0].Number, r.q.Targets[1].Number
	r.mu.Unlock()
	r.party.Committed(slot, err)
}

// snapshot returns a copy of how far the exchanges are.
func (p *party) snapshot() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.exchanges)
}

// resume compares the store with what was acknowledged before the power was cut
// and what had been submitted after it, and goes on from what the store has.
func (p *party) resume(t *testing.T, s *Store, before, after []exchange) {
	t.Helper()
	sessions := stored(t, s)
	received := sessions[p.base].Received
	var queues [3]map[string]iot.Delivery
	for who := 1; who <= 2; who++ {
		queues[who] = make(map[string]iot.Delivery)
		for _, d := range deliveries(t, s, p.base+uint64(who)) {
			payload := string(d.Message.Payload)
			if _, twice := queues[who][payload]; twice {
				t.Fatalf("message %s is queued twice", payload)
			}
			queues[who][payload] = d
		}
	}
	p.exchanges = make([]exchange, len(before))
	for n := range before {
		x, acked, sent := &p.exchanges[n], before[n].acked, after[n].sent
		taken := slices.Contains(received, uint16(n+1))
		applied := taken || acked[0] > 0 || sent[0] == 2
		switch {
		case taken && (sent[0] == 0 || acked[0] == 2), !taken && acked[0] == 1 && sent[0] == 1:
			t.Fatalf("message %d: received %t, when steps %v were acknowledged and %v submitted", n, taken, acked, sent)
		case taken:
			x.sent[0] = 1
		case applied:
			x.sent[0] = 2
		}
		for who := 1; who <= 2; who++ {
			d, waits := queues[who][fmt.Sprint(n)]
			step := 0
			switch {
			case d.Released:
				step = 1
			case !waits && applied:
				step = 2
			}
			// What nobody waited for may be lost, however far the subscriber was.
			if n%2 == 0 {
				acked[who] = 0
			}
			if waits && !applied || applied && (step < acked[who] || step > sent[who]) {
				t.Fatalf("message %d of subscriber %d: queued %t, step %d, when steps %v were acknowledged and %v submitted", n, who, waits, step, acked, sent)
			}
			x.sent[who], x.numbers[who] = step, d.Number
		}
		x.acked = x.sent
	}
}

// TestPowerLossDuringExchanges cuts the power at any point of exchanges of QoS 2,
// again and again. Whatever was acknowledged must be there after each cut, once,
// and nothing may be left in the end.
func TestPowerLossDuringExchanges(t *testing.T) {
	files := vfs.NewCrashableMem()
	const messages = 400
	var parties []*party
	r := run(t, open(t, testConfig(files)))
	for n := range uint64(3) {
		p := &party{base: 10 * (n + 1), random: rand.New(rand.NewPCG(n, 1)), exchanges: make([]exchange, messages), news: make(chan struct{}, 1)}
		parties = append(parties, p)
		r.do(session(p.base), session(p.base+1), session(p.base+2))
	}
	inFlight := 0
	for round := range 8 {
		stop := make(chan struct{})
		var playing sync.WaitGroup
		for _, p := range parties {
			playing.Go(func() { p.play(t, r.Store, stop) })
		}
		for done := 0; done < 60*(round+1); { // of each party, of some kind of step
			runtime.Gosched()
			done = 1 << 30
			for _, p := range parties {
				steps := 0
				for _, x := range p.snapshot() {
					steps += x.acked[0]
				}
				done = min(done, steps)
			}
		}
		var before, after [3][]exchange
		for i, p := range parties {
			before[i] = p.snapshot()
		}
		clone := files.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[round%3], RNG: rand.New(rand.NewPCG(uint64(round), 0)),
		})
		for i, p := range parties {
			after[i] = p.snapshot()
			for n := range after[i] {
				if after[i][n].sent != before[i][n].acked {
					inFlight++
				}
			}
		}
		close(stop)
		playing.Wait()
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		files = clone
		r = run(t, open(t, testConfig(files)))
		for i, p := range parties {
			p.resume(t, r.Store, before[i], after[i])
		}
	}
	if inFlight == 0 {
		t.Error("nothing was in flight when the power failed")
	}
	for _, p := range parties {
		p.play(t, r.Store, nil)
	}
	r.do(session(1)) // what nobody waits for is applied before this
	wantEmpty(t, r.Store, tableReceived, tableQueue, tableBody)
	r.close()
}

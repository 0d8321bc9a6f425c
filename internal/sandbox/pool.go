package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Pool is the processes of one function. Make one with [New], end it with Close.
type Pool struct {
	cfg Config

	invocations sync.WaitGroup // one for each that was admitted
	watching    chan struct{}  // closed to end the watch over memory

	mu     sync.Mutex
	closed bool
	slots  int // processes that live or are being started, but for retired ones
	live   map[*process]struct{}
	idle   []*process // the most recently used last
}

// New checks the configuration; it starts nothing. An error about the code or
// the variables wraps [iot.ErrInvalid].
func New(cfg Config) (*Pool, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Pool{cfg: cfg, live: make(map[*process]struct{})}, nil
}

// Invoke runs the function on an event, in a warm process when one is free.
// Whatever the function does, crash and timeout included, is an Answer. The error
// wraps [iot.ErrOverloaded] when Concurrency processes are busy, [iot.ErrClosed],
// or the context's; anything else is this machine's failure to start a process.
// An invocation whose context is done runs on, unheard, as on AWS.
func (p *Pool) Invoke(ctx context.Context, in iot.Invocation) (iot.Answer, error) {
	if err := ctx.Err(); err != nil {
		return iot.Answer{}, err
	}
	proc, err := p.admit()
	if err != nil {
		return iot.Answer{}, err
	}
	type result struct {
		answer iot.Answer
		err    error
	}
	results := make(chan result, 1)
	go func() {
		defer p.invocations.Done()
		answer, err := p.serve(proc, identify(in, time.Now()))
		results <- result{answer, err}
	}()
	select {
	case r := <-results:
		return r.answer, r.err
	case <-ctx.Done():
		return iot.Answer{}, ctx.Err()
	}
}

// admit counts an invocation and gives it a warm process, or nil and the slot
// to start one in.
func (p *Pool) admit() (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("function %s: %w", p.cfg.Function, iot.ErrClosed)
	}
	if last := len(p.idle) - 1; last >= 0 {
		proc := p.idle[last]
		p.idle = p.idle[:last]
		proc.idleTimer.Stop()
		p.invocations.Add(1)
		return proc, nil
	}
	if err := p.reserve(); err != nil {
		return nil, err
	}
	p.invocations.Add(1)
	return nil, nil
}

// reserve takes a slot for a process to come. The caller holds p.mu.
func (p *Pool) reserve() error {
	if p.slots >= p.cfg.Concurrency {
		return fmt.Errorf("function %s: all %d concurrent executions are busy: %w", p.cfg.Function, p.cfg.Concurrency, iot.ErrOverloaded)
	}
	p.slots++
	return nil
}

// serve takes one invocation to its answer, in proc, or in a new process when
// proc is nil or has ended before it took the event.
func (p *Pool) serve(proc *process, in iot.Invocation) (iot.Answer, error) {
	if proc != nil {
		if answer, taken := p.run(proc, in, false); taken {
			return answer, p.cut(answer)
		}
		p.mu.Lock()
		err := p.reserve()
		p.mu.Unlock()
		if err != nil {
			return iot.Answer{}, err
		}
	}
	proc, err := p.start()
	if entry, ok := errors.AsType[*entrypointError](err); ok {
		o := failed(in.RequestID, "Runtime.InvalidEntrypoint", "%v", entry)
		return iot.Answer{Payload: o.payload, Error: "Unhandled", RequestID: in.RequestID}, nil
	}
	if err != nil {
		return iot.Answer{}, fmt.Errorf("function %s: starting a process: %w", p.cfg.Function, err)
	}
	answer, _ := p.run(proc, in, true)
	return answer, p.cut(answer)
}

// cut returns an error when a failed answer may be due to Close.
func (p *Pool) cut(answer iot.Answer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed && answer.Error != "" {
		return fmt.Errorf("function %s: %w", p.cfg.Function, iot.ErrClosed)
	}
	return nil
}

// run has a process answer an invocation and keeps the process when it is still
// good. It reports false when a process that had been idle is gone.
func (p *Pool) run(proc *process, in iot.Invocation, cold bool) (iot.Answer, bool) {
	c := newCall(in)
	o, ok := proc.await(c, cold)
	if !ok {
		return iot.Answer{}, false
	}
	answer := iot.Answer{Payload: o.payload, RequestID: in.RequestID}
	if o.errorType != "" {
		answer.Error = "Unhandled"
	}
	answer.LogTail = proc.report(c, o, cold)
	if !proc.broken {
		p.release(proc)
	}
	return answer, true
}

// release makes a process available to the next invocation.
func (p *Pool) release(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc.gone || p.closed {
		return
	}
	p.idle = append(p.idle, proc)
	proc.idleTimer = time.AfterFunc(p.cfg.IdleTimeout, func() {
		if p.retire(proc) {
			proc.terminate()
		}
	})
}

// retire takes a process out of the idle ones, and frees its slot at once: what
// is about to end is in nobody's way. It reports whether the process was idle.
func (p *Pool) retire(proc *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dropIdle(proc) {
		return false
	}
	proc.retired = true
	p.slots--
	return true
}

// dropIdle takes a process out of the idle ones, and reports whether it was there.
// The caller holds p.mu.
func (p *Pool) dropIdle(proc *process) bool {
	i := slices.Index(p.idle, proc)
	if i < 0 {
		return false
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	proc.idleTimer.Stop()
	return true
}

// start starts a process in the slot that the caller has reserved.
func (p *Pool) start() (*process, error) {
	proc, err := startProcess(&p.cfg, p.ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.slots--
		return nil, err
	}
	if proc.gone { // it has ended already
		return proc, nil
	}
	p.live[proc] = struct{}{}
	if p.watching == nil && !p.closed {
		p.watching = make(chan struct{})
		go p.watch(p.watching)
	}
	if p.closed {
		proc.kill()
	}
	return proc, nil
}

// ended frees the slot of a process that has ended.
func (p *Pool) ended(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	proc.gone = true
	delete(p.live, proc)
	p.dropIdle(proc)
	if !proc.retired {
		p.slots--
	}
	if len(p.live) == 0 && p.watching != nil {
		close(p.watching)
		p.watching = nil
	}
}

// watch ends processes that hold more memory, or have more children, than they
// may, until stop is closed.
func (p *Pool) watch(stop <-chan struct{}) {
	const (
		interval   = 200 * time.Millisecond
		idleLooks  = 10   // intervals between two looks while every process is idle
		maxMembers = 1024 // processes of one environment, as on AWS
	)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		procs, busy := p.liveByPID()
		if !busy && n%idleLooks != 0 {
			continue
		}
		for leader, f := range families(procs) {
			proc := procs[leader]
			if f.resident > proc.maxMemory() && len(f.members) > 1 {
				f.resident = proportional(f.members)
			}
			if proc.observe(f.resident); f.resident > proc.maxMemory() || len(f.members) > maxMembers {
				proc.kill()
			}
		}
	}
}

// liveByPID returns the processes by their pid, and whether one is not idle.
func (p *Pool) liveByPID() (procs map[int]*process, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	procs = make(map[int]*process, len(p.live))
	for proc := range p.live {
		procs[proc.pid] = proc
	}
	return procs, len(p.live) > len(p.idle)
}

// Close ends every process and waits for them: SIGTERM, half a second later
// SIGKILL to all that it started. Invocations under way fail with [iot.ErrClosed].
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	var procs []*process
	for proc := range p.live {
		procs = append(procs, proc)
	}
	for _, proc := range p.idle {
		proc.idleTimer.Stop()
	}
	p.idle = nil
	p.mu.Unlock()

	var ending sync.WaitGroup
	for _, proc := range procs {
		ending.Go(proc.terminate)
	}
	ending.Wait()
	p.invocations.Wait()
}

// streamName returns a new name for the log stream of one process.
func streamName(now time.Time) string {
	return strings.Join([]string{now.UTC().Format("2006/01/02"), "[$LATEST]" + randomHex(16)}, "/")
}

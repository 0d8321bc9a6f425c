package broker

import (
	"sync"
	"time"
)

// throttlePeriod is how long a throttle counts before it begins anew.
const throttlePeriod = 10 * time.Second

// throttle bounds how often something is logged. The zero value is ready, and
// it may be used concurrently.
type throttle struct {
	mu    sync.Mutex
	until time.Time
	let   int // times allowed in this period
	held  int // times refused since the last one allowed
}

// allow reports whether to log, which it lets happen n times a period, and how
// many times it has not since the last time it did.
func (t *throttle) allow(now time.Time, n int) (held int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.until) {
		t.until, t.let = now.Add(throttlePeriod), 0
	}
	if t.let >= n {
		t.held++
		return 0, false
	}
	t.let++
	held, t.held = t.held, 0
	return held, true
}

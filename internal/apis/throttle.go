package apis

import (
	"sync"
	"time"
)

// bucket is a token bucket: at most burst at once, rate a second on average.
type bucket struct {
	rate, burst float64
	now         func() time.Time

	mu     sync.Mutex
	tokens float64
	at     time.Time // when tokens was counted
}

func newBucket(rate float64, burst int, now func() time.Time) *bucket {
	most := max(float64(burst), 1)
	return &bucket{rate: rate, burst: most, now: now, tokens: most, at: now()}
}

// take reports whether there was a token, and takes it. A nil bucket is endless.
func (b *bucket) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

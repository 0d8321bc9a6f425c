package rule

import (
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

// inForce are the rules that messages meet. It is safe for concurrent use: messages
// find their rules without a lock, and a change costs the same however many rules
// there are.
type inForce struct {
	mu       sync.Mutex    // held during a change
	changes  atomic.Uint64 // odd while byFilter is being changed
	byFilter *topic.Tree[string, *compiled]
	byName   sync.Map // of a name, to a *compiled
}

func newInForce() *inForce {
	return &inForce{byFilter: topic.NewTree[string, *compiled](true)}
}

// change puts the next version of a rule in place of the old one. There is no old
// one of a new rule, and no next one when it is deleted.
func (f *inForce) change(old, next *compiled) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to := "", "" // without FROM, only Basic Ingest reaches a rule
	if old != nil {
		from = old.filter()
	}
	if next != nil {
		to = next.filter()
		f.byName.Store(next.rule.Name, next)
	} else {
		f.byName.Delete(old.rule.Name)
	}
	f.changes.Add(1)
	if to != "" {
		f.byFilter.Set(to, next.rule.Name, next)
	}
	if from != "" && from != to {
		f.byFilter.Delete(from, old.rule.Name)
	}
	f.changes.Add(1)
}

// match appends to dst the rules whose filter matches a topic. They are those of
// one moment: of a rule that is being changed the one version or the other.
func (f *inForce) match(dst []*compiled, name string) []*compiled {
	before := f.changes.Load()
	found := f.collect(dst, name)
	if before&1 == 0 && f.changes.Load() == before {
		return found
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.collect(dst, name)
}

func (f *inForce) collect(dst []*compiled, name string) []*compiled {
	f.byFilter.Match(name, func(_ string, c *compiled) { dst = append(dst, c) })
	return dst
}

// named returns the rule of that name, or nil.
func (f *inForce) named(name string) *compiled {
	c, _ := f.byName.Load(name)
	found, _ := c.(*compiled)
	return found
}

package topic

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Tree holds values under topic filters, each with a key that is unique within
// its filter, and finds all that match a name.
//
// It may be used concurrently. Changes exclude one another; Match takes no lock
// and does not allocate. A match that runs during a change sees it or does not;
// all changes that were complete before it began, it sees.
type Tree[K comparable, V any] struct {
	parent bool // "a/#" matches "a"
	root   node[K, V]
	mu     sync.Mutex // held by writers
}

// node is one level of the filters: what ends here, and where they go on.
type node[K comparable, V any] struct {
	values   table[K, V]                // of the filters that end here
	literals table[string, *node[K, V]] // by the next level, unless it is a wildcard
	plus     atomic.Pointer[node[K, V]] // nil: no filter goes on with +
	hash     atomic.Pointer[node[K, V]] // nil: none goes on with #; only values otherwise
}

// NewTree returns an empty tree that matches as [MatchRule] does when rules is
// true, and as [Match] otherwise.
func NewTree[K comparable, V any](rules bool) *Tree[K, V] {
	return &Tree[K, V]{parent: !rules}
}

// Set puts a value under a filter and key, and reports whether it replaced
// another. The filter must be valid.
func (t *Tree[K, V]) Set(filter string, key K, value V) (replaced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		next := n.child(level)
		if next == nil {
			next = new(node[K, V])
			n.attach(strings.Clone(level), next) // not the whole filter's bytes
		}
		n = next
	}
	return n.values.set(key, value)
}

// Delete removes the value under a filter and key, and reports whether there was
// one. Levels that hold nothing more go with it.
func (t *Tree[K, V]) Delete(filter string, key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.root.delete(filter, key)
}

// delete removes from below n what the rest of a filter names. It recurses so
// that each level can drop the next when that is left empty.
func (n *node[K, V]) delete(filter string, key K) bool {
	level, rest, more := strings.Cut(filter, "/")
	next := n.child(level)
	if next == nil {
		return false
	}
	var deleted bool
	if more {
		deleted = next.delete(rest, key)
	} else {
		deleted = next.values.delete(key)
	}
	if next.empty() {
		n.detach(level)
	}
	return deleted
}

// Match calls visit once for each filter and key whose filter matches name, in no
// particular order. visit may change the tree.
func (t *Tree[K, V]) Match(name string, visit func(key K, value V)) {
	if name != "" {
		t.match(&t.root, name, 0, visit)
	}
}

// match visits what matches below n, whose children stand for the level of name
// that begins at offset at; behind its end, when no level is left.
func (t *Tree[K, V]) match(n *node[K, V], name string, at int, visit func(K, V)) {
	wildcards := at > 0 || name[0] != '$' // [MQTT-4.7.2-1]
	left := at <= len(name)
	if hash := n.hash.Load(); hash != nil && wildcards && (left || t.parent) {
		hash.values.each(visit)
	}
	if !left {
		n.values.each(visit)
		return
	}
	end := len(name)
	if i := strings.IndexByte(name[at:], '/'); i >= 0 {
		end = at + i
	}
	if next, ok := n.literals.get(name[at:end]); ok {
		t.match(next, name, end+1, visit)
	}
	if plus := n.plus.Load(); plus != nil && wildcards {
		t.match(plus, name, end+1, visit)
	}
}

// child returns the node for the next level of a filter, or nil.
func (n *node[K, V]) child(level string) *node[K, V] {
	switch level {
	case "+":
		return n.plus.Load()
	case "#":
		return n.hash.Load()
	}
	next, _ := n.literals.get(level)
	return next
}

func (n *node[K, V]) attach(level string, next *node[K, V]) {
	switch level {
	case "+":
		n.plus.Store(next)
	case "#":
		n.hash.Store(next)
	default:
		n.literals.set(level, next)
	}
}

func (n *node[K, V]) detach(level string) {
	switch level {
	case "+":
		n.plus.Store(nil)
	case "#":
		n.hash.Store(nil)
	default:
		n.literals.delete(level)
	}
}

func (n *node[K, V]) empty() bool {
	return n.values.count == 0 && n.literals.count == 0 && n.plus.Load() == nil && n.hash.Load() == nil
}

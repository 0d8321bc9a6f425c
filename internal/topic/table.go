package topic

import (
	"hash/maphash"
	"sync/atomic"
)

// table is a hash table that is read without locks. A bucket is a list that
// never changes once it is published: a change copies the list up to the entry
// in question and swaps the bucket's head, so it costs the same however large
// the table is. Writers must exclude one another.
type table[K comparable, V any] struct {
	buckets atomic.Pointer[[]bucket[K, V]] // nil when empty; else a power of two of them
	count   int                            // entries; the writers' own
}

type bucket[K comparable, V any] = atomic.Pointer[entry[K, V]]

type entry[K comparable, V any] struct {
	key   K
	value V
	next  *entry[K, V]
}

// get returns the value of a key.
func (t *table[K, V]) get(key K) (value V, ok bool) {
	if buckets := t.buckets.Load(); buckets != nil {
		for e := find(*buckets, key).Load(); e != nil; e = e.next {
			if e.key == key {
				return e.value, true
			}
		}
	}
	return value, false
}

// each calls visit for every entry.
func (t *table[K, V]) each(visit func(K, V)) {
	buckets := t.buckets.Load()
	if buckets == nil {
		return
	}
	for i := range *buckets {
		for e := (*buckets)[i].Load(); e != nil; e = e.next {
			visit(e.key, e.value)
		}
	}
}

// set puts an entry and reports whether it replaced another of the same key.
func (t *table[K, V]) set(key K, value V) (replaced bool) {
	buckets := t.sized(t.count + 1)
	head := find(buckets, key)
	rest, replaced := without(head.Load(), key)
	head.Store(&entry[K, V]{key, value, rest})
	if !replaced {
		t.count++
	}
	return replaced
}

// delete removes the entry of a key and reports whether there was one.
func (t *table[K, V]) delete(key K) bool {
	buckets := t.buckets.Load()
	if buckets == nil {
		return false
	}
	head := find(*buckets, key)
	rest, deleted := without(head.Load(), key)
	if !deleted {
		return false
	}
	head.Store(rest)
	t.count--
	t.sized(t.count)
	return true
}

// sized returns the buckets, having moved the entries to more or fewer of them
// when n entries would crowd them or leave most of them empty.
func (t *table[K, V]) sized(n int) []bucket[K, V] {
	var old []bucket[K, V]
	if p := t.buckets.Load(); p != nil {
		old = *p
	}
	size := max(len(old), 1)
	switch {
	case n == 0:
		t.buckets.Store(nil)
		return nil
	case n > 2*size:
		size *= 2
	case n < size/4:
		size /= 2
	case old != nil:
		return old
	}
	moved := make([]bucket[K, V], size)
	for i := range old {
		for e := old[i].Load(); e != nil; e = e.next {
			head := find(moved, e.key)
			head.Store(&entry[K, V]{e.key, e.value, head.Load()})
		}
	}
	t.buckets.Store(&moved)
	return moved
}

// without returns the list less the entry of a key, and whether there was one.
// Entries before it are copied, for readers may be among them.
func without[K comparable, V any](list *entry[K, V], key K) (rest *entry[K, V], found bool) {
	if list == nil {
		return nil, false
	}
	if list.key == key {
		return list.next, true
	}
	rest, found = without(list.next, key)
	if !found {
		return list, false
	}
	return &entry[K, V]{list.key, list.value, rest}, true
}

// find returns the bucket for a key.
func find[K comparable, V any](buckets []bucket[K, V], key K) *bucket[K, V] {
	if len(buckets) == 1 {
		return &buckets[0]
	}
	return &buckets[maphash.Comparable(seed, key)&uint64(len(buckets)-1)]
}

// seed is random, lest a client choose levels that fall into one bucket.
var seed = maphash.MakeSeed()

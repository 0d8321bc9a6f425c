package store

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Section is a part of the key space that belongs to one engine: tables, logs,
// APIs, functions. The engine chooses its keys; nobody else sees them. It is
// safe for concurrent use.
type Section struct {
	store  *Store
	prefix []byte
}

// Section returns the section of a name. Two engines must not share one.
func (s *Store) Section(name string) *Section {
	return &Section{store: s, prefix: appendText([]byte{tableSection}, name)}
}

// Get returns a copy of a record's value, or an error wrapping iot.ErrNotFound.
func (p *Section) Get(key []byte) ([]byte, error) { return p.store.engine.get(p.key(key)) }

// Scan calls visit with each record of a range until visit returns false or an
// error. Key and value are only valid during the call, which sees the section as
// it was when the scan began.
func (p *Section) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	bounds := &pebble.IterOptions{LowerBound: p.key(r.From), UpperBound: after(p.prefix)}
	if r.To != nil {
		bounds.UpperBound = p.key(r.To)
	}
	it, err := p.store.engine.NewIter(bounds)
	if err != nil {
		return err
	}
	first, next := it.First, it.Next
	if r.Desc {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		more, err := visit(it.Key()[len(p.prefix):], it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !more {
			break
		}
	}
	return it.Close()
}

// Apply makes writes as one: all of them or none. With durable it returns once
// the disk has them, concurrent calls sharing a sync; without, they become
// durable with whatever is synced next. Below the free-space watermark, or when there
// is no room for them all, it refuses what is not only deletions with
// iot.ErrNoSpace.
func (p *Section) Apply(writes []iot.Write, durable bool) error {
	b := p.store.engine.NewBatch()
	grows := false
	for _, w := range writes {
		grows = grows || !w.Delete
		if err := p.add(b, w); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if grows {
		p.store.space.refresh()
		if err := cmp.Or(p.store.space.check(), p.store.space.checkSize(b.Len())); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if durable {
		return p.store.engine.applySynced(b)
	}
	if err := p.store.engine.apply(b, false); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return b.Close()
}

func (p *Section) add(b *pebble.Batch, w iot.Write) error {
	switch {
	case w.Delete && w.To != nil:
		return b.DeleteRange(p.key(w.Key), p.key(w.To), nil)
	case w.Delete:
		return b.Delete(p.key(w.Key), nil)
	default:
		return b.Set(p.key(w.Key), w.Value, nil)
	}
}

// key returns the engine's key in the whole key space.
func (p *Section) key(key []byte) []byte {
	return append(p.prefix[:len(p.prefix):len(p.prefix)], key...)
}

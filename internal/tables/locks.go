package tables

import (
	"cmp"
	"hash/crc32"
	"slices"
	"sync"
)

// stripeCount is how many locks the items of one table share.
const stripeCount = 256

// stripes serialise the writes of each item of one table. Who holds them all can
// change the table itself.
type stripes [stripeCount]sync.Mutex

func (s *stripes) of(row []byte) int { return int(crc32.ChecksumIEEE(row) % stripeCount) }

func (s *stripes) lockAll() {
	for i := range s {
		s[i].Lock()
	}
}

func (s *stripes) unlockAll() {
	for i := range s {
		s[i].Unlock()
	}
}

// stripe is one lock of one table.
type stripe struct {
	table  *table
	number int
}

// stripeSet is the locks of several items, each once, in the one order in which
// everybody takes them.
type stripeSet []stripe

func newStripeSet(rows []rowOf) stripeSet {
	set := make(stripeSet, len(rows))
	for i, r := range rows {
		set[i] = stripe{r.table, r.table.locks.of(r.row)}
	}
	slices.SortFunc(set, func(a, b stripe) int {
		return cmp.Or(cmp.Compare(a.table.Number, b.table.Number), cmp.Compare(a.number, b.number))
	})
	return slices.Compact(set)
}

func (set stripeSet) lock() {
	for _, s := range set {
		s.table.locks[s.number].Lock()
	}
}

func (set stripeSet) unlock() {
	for _, s := range set {
		s.table.locks[s.number].Unlock()
	}
}

// rowOf is a row of a table.
type rowOf struct {
	table *table
	row   []byte
}

package topic

import (
	"fmt"
	"testing"
)

func TestEmptyLevelsArePruned(t *testing.T) {
	tree := NewTree[int, int](false)
	var filters []string
	for i := range 1000 {
		filters = append(filters, fmt.Sprintf("a/%d/+/x/#", i))
	}
	for _, filter := range filters {
		tree.Set(filter, 0, 0)
	}
	a := tree.root.child("a")
	for i, filter := range filters {
		tree.Delete(filter, 0)
		if want := len(filters) - i - 1; a.literals.count != want {
			t.Fatalf("%d levels are left below a, want %d", a.literals.count, want)
		}
	}
	if !tree.root.empty() {
		t.Error("the emptied tree still has levels")
	}
	if a.literals.buckets.Load() != nil {
		t.Error("the emptied table still has buckets")
	}
}

func TestTableIsAsLargeAsItsContents(t *testing.T) {
	var table table[int, int]
	buckets := func() int { return len(*table.buckets.Load()) }
	for i := range 1000 {
		table.set(i, i)
		if n := table.count; n > 2*buckets() || n < buckets()/4 {
			t.Fatalf("%d entries in %d buckets", n, buckets())
		}
	}
	for i := range 999 {
		table.delete(i)
		if n := table.count; n > 2*buckets() || n < buckets()/4 {
			t.Fatalf("%d entries in %d buckets", n, buckets())
		}
	}
}

package topic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

func TestTreeReplacesAndDeletes(t *testing.T) {
	tree := topic.NewTree[string, int](false)
	if tree.Set("a/+", "k", 1) {
		t.Error("the first value replaced another")
	}
	if !tree.Set("a/+", "k", 2) {
		t.Error("the second value of a key did not replace the first")
	}
	tree.Set("a/+", "l", 3)
	tree.Set("a/b", "k", 4)
	if got, want := matches(tree, "a/b"), []int{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("a/b matches %v, want %v", got, want)
	}
	for _, missing := range [][2]string{{"a/b", "l"}, {"a", "k"}, {"a/b/c", "k"}, {"#", "k"}} {
		if tree.Delete(missing[0], missing[1]) {
			t.Errorf("deleted %v, which was never set", missing)
		}
	}
	for _, present := range [][2]string{{"a/+", "k"}, {"a/b", "k"}, {"a/+", "l"}} {
		if !tree.Delete(present[0], present[1]) || tree.Delete(present[0], present[1]) {
			t.Errorf("%v was not deleted exactly once", present)
		}
	}
	if got := matches(tree, "a/b"); len(got) != 0 {
		t.Errorf("an emptied tree matches %v", got)
	}
}

// matches returns the values that match a name, sorted.
func matches(tree *topic.Tree[string, int], name string) (values []int) {
	tree.Match(name, func(_ string, v int) { values = append(values, v) })
	slices.Sort(values)
	return values
}

// TestTreeAgreesWithMatch grows and shrinks a tree at random beside a plain map,
// and compares what they match.
func TestTreeAgreesWithMatch(t *testing.T) {
	for _, rules := range []bool{false, true} {
		r := rand.New(rand.NewPCG(1, 2))
		tree, model := topic.NewTree[int, int](rules), map[entry]int{}
		for step := range 20_000 {
			e := entry{randomTopic(r, "a", "b", "", "$c", "+", "#"), r.IntN(4)}
			_, present := model[e]
			// Growing and shrinking alternate, so that tables resize both ways.
			if step/2000%2 == 0 || r.IntN(4) == 0 {
				if tree.Set(e.filter, e.key, step) != present {
					t.Fatalf("Set(%v) does not know that presence is %v", e, present)
				}
				model[e] = step
			} else {
				if tree.Delete(e.filter, e.key) != present {
					t.Fatalf("Delete(%v) does not know that presence is %v", e, present)
				}
				delete(model, e)
			}
			if step%50 == 0 {
				compare(t, tree, model, rules, randomTopic(r, "a", "b", "", "$c"))
			}
		}
	}
}

type entry struct {
	filter string
	key    int
}

// randomTopic joins up to four levels; a # ends them.
func randomTopic(r *rand.Rand, levels ...string) string {
	for {
		var parts []string
		for range 1 + r.IntN(4) {
			level := levels[r.IntN(len(levels))]
			parts = append(parts, level)
			if level == "#" {
				break
			}
		}
		if text := strings.Join(parts, "/"); text != "" {
			return text
		}
	}
}

func compare(t *testing.T, tree *topic.Tree[int, int], model map[entry]int, rules bool, name string) {
	t.Helper()
	match := topic.Match
	if rules {
		match = topic.MatchRule
	}
	want := map[int]bool{} // steps are unique, so a value tells the entry
	for e, step := range model {
		if match(e.filter, name) {
			want[step] = true
		}
	}
	visits := 0
	tree.Match(name, func(_, step int) {
		visits++
		if !want[step] {
			t.Errorf("%q is given a value that it does not match", name)
		}
	})
	if visits != len(want) {
		t.Errorf("%q got %d visits, want %d", name, visits, len(want))
	}
}

// TestTreeIsReadDuringChanges checks that entries which stay are visited exactly
// once by every match, whatever happens around them.
func TestTreeIsReadDuringChanges(t *testing.T) {
	tree := topic.NewTree[int, bool](false)
	stable := []string{"d/7/x", "d/+/x", "d/#", "#"}
	for _, filter := range stable {
		tree.Set(filter, -1, true)
	}
	var done atomic.Bool
	var writers, readers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 2000 {
				for _, filter := range append(stable, fmt.Sprintf("d/%d/x", i%300), "d/7/x/y") {
					tree.Set(filter, w*1000+i%100, false)
				}
				tree.Delete(stable[i%len(stable)], w*1000+i%100)
				tree.Delete(fmt.Sprintf("d/%d/x", i%300), w*1000+i%100)
				tree.Delete("d/7/x/y", w*1000+i%100)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				visits := 0
				tree.Match("d/7/x", func(_ int, stays bool) {
					if stays {
						visits++
					}
				})
				if visits != len(stable) {
					t.Errorf("%d of %d entries that stay were visited", visits, len(stable))
					return
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func TestMatchDoesNotAllocate(t *testing.T) {
	tree := tenThousandFilters()
	visits := 0
	visit := func(int, int) { visits++ }
	if n := testing.AllocsPerRun(100, func() { tree.Match("site/7/line/3/temp", visit) }); n != 0 {
		t.Errorf("a match allocates %v times", n)
	}
	if visits == 0 {
		t.Error("nothing matched")
	}
	if n := testing.AllocsPerRun(100, func() { topic.Match("site/+/line/#", "site/7/line/3/temp") }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

// tenThousandFilters returns a tree in which site/7/line/3/temp matches three.
func tenThousandFilters() *topic.Tree[int, int] {
	tree := topic.NewTree[int, int](false)
	for i := range 9998 {
		tree.Set(fmt.Sprintf("site/%d/line/%d/temp", i/100, i%100), i, i)
	}
	tree.Set("site/+/line/#", 9998, 0)
	tree.Set("site/7/+/3/temp", 9999, 0)
	return tree
}

func BenchmarkTreeMatch(b *testing.B) {
	tree := tenThousandFilters()
	visit := func(int, int) {}
	b.ReportAllocs()
	for b.Loop() {
		tree.Match("site/7/line/3/temp", visit)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "match/s")
}

func BenchmarkTreeSetDelete(b *testing.B) {
	tree := tenThousandFilters()
	b.ReportAllocs()
	for b.Loop() {
		tree.Set("site/7/line/3/temp", -1, 0)
		tree.Delete("site/7/line/3/temp", -1)
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		topic.Match("site/+/line/#", "site/7/line/3/temp")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "match/s")
}

func ExampleTree() {
	tree := topic.NewTree[string, int](false)
	tree.Set("sensor/+", "dashboard", 1)
	tree.Set("sensor/data", "archive", 0)
	tree.Match("sensor/status", func(subscriber string, qos int) {
		fmt.Println(subscriber, qos)
	})
	// Output: dashboard 1
}

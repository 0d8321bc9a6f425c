package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

// walk returns the topics that a filter matches by the skip scan, and how many
// topics it looked at.
func walk(sorted []string, filter string) (found []string, looked int) {
	for i := 0; i < len(sorted); looked++ {
		match, seek := nextTopic(filter, sorted[i])
		switch {
		case match:
			found = append(found, sorted[i])
			i++
		case seek == "":
			return found, looked + 1
		default:
			next, _ := slices.BinarySearch(sorted, seek)
			if next <= i {
				panic(fmt.Sprintf("%q at %q: the walk goes back to %q", filter, sorted[i], seek))
			}
			i = next
		}
	}
	return found, looked
}

func TestSkipScanFindsWhatMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// Around '/' in the order of bytes, and what makes levels prefixes of others.
	levels := []string{"", "a", "a!", "a-", "a0", "aa", "b", "$", "$a", "!", "0", "\xff", "é"}
	pick := func(from []string) string {
		parts := make([]string, random.IntN(4)+1)
		for i := range parts {
			parts[i] = from[random.IntN(len(from))]
		}
		return strings.Join(parts, "/")
	}
	for range 300 {
		var topics []string
		for range random.IntN(60) {
			if name := pick(levels); name != "" {
				topics = append(topics, name)
			}
		}
		slices.Sort(topics)
		topics = slices.Compact(topics)
		for range 50 {
			filter := pick(append([]string{"+", "+", "+"}, levels...))
			if random.IntN(3) == 0 {
				filter = strings.TrimPrefix(filter+"/#", "/")
			}
			if filter == "" {
				continue
			}
			var want []string
			for _, name := range topics {
				if topic.Match(filter, name) {
					want = append(want, name)
				}
			}
			if got, _ := walk(topics, filter); !slices.Equal(got, want) {
				t.Fatalf("%q of %q: found %q, want %q", filter, topics, got, want)
			}
		}
	}
}

func TestSkipScanPassesSubtreesOver(t *testing.T) {
	var topics []string
	for device := range 100 {
		for sensor := range 100 {
			topics = append(topics, fmt.Sprintf("device%02d/s%02d", device, sensor))
		}
	}
	slices.Sort(topics)
	for _, tc := range []struct {
		filter  string
		matches int
		looks   int // at most
	}{
		{"+/s50", 100, 300},
		{"+/nothing", 0, 200},
		{"device50/+", 100, 102},
		{"device50/#", 100, 102},
		{"device50/s50", 1, 4},
		{"+/+/+", 0, 10_000},
		{"+", 0, 100},
		{"zzz/#", 0, 2},
		{"#", 10_000, 10_000},
	} {
		found, looked := walk(topics, tc.filter)
		if len(found) != tc.matches || looked > tc.looks {
			t.Errorf("%q: %d matches in %d looks, want %d in at most %d", tc.filter, len(found), looked, tc.matches, tc.looks)
		}
	}
}

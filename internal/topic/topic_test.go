package topic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		name   string
		filter string
		topic  string
		mqtt   bool
		rule   bool
	}{
		{"equal names match", "a/b", "a/b", true, true},
		{"case matters", "A/b", "a/b", false, false},
		{"a name is not a prefix", "a", "a/b", false, false},
		{"nor is a filter", "a/b", "a", false, false},
		{"plus takes one level", "a/+", "a/b", true, true},
		{"plus takes no more", "a/+", "a/b/c", false, false},
		{"plus takes no less", "a/+", "a", false, false},
		{"plus takes an empty level", "a/+", "a/", true, true},
		{"plus in front takes an empty level", "+/a", "/a", true, true},
		{"plus stands between literals", "a/+/c", "a/b/c", true, true},
		{"two pluses take two levels", "+/+", "/finance", true, true},
		{"one plus does not", "+", "/finance", false, false},
		{"hash takes everything", "#", "a/b/c", true, true},
		{"hash takes the rest", "a/#", "a/b/c", true, true},
		{"hash takes an empty level", "a/#", "a/", true, true},
		{"hash takes the parent too, but not in rules", "a/#", "a", true, false},
		{"hash behind plus takes the parent too", "+/#", "a", true, false},
		{"hash takes no neighbour of the parent", "a/#", "ab", false, false},
		{"hash needs the grandparent's child", "a/b/#", "a", false, false},
		{"empty levels are levels", "a//b", "a//b", true, true},
		{"and not to be skipped", "a/b", "a//b", false, false},
		{"a slash alone is two empty levels", "/", "/", true, true},
		{"hash skips reserved topics", "#", "$SYS/up", false, false},
		{"plus skips reserved topics", "+/up", "$SYS/up", false, false},
		{"a literal takes reserved topics", "$SYS/#", "$SYS/up", true, true},
		{"wildcards behind it too", "$SYS/+", "$SYS/up", true, true},
		{"a dollar further behind is nothing special", "a/+", "a/$b", true, true},
		{"an empty name matches nothing", "#", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := topic.Match(tt.filter, tt.topic); got != tt.mqtt {
				t.Errorf("Match(%q, %q) = %v", tt.filter, tt.topic, got)
			}
			if got := topic.MatchRule(tt.filter, tt.topic); got != tt.rule {
				t.Errorf("MatchRule(%q, %q) = %v", tt.filter, tt.topic, got)
			}
			if got := treeMatches(tt.filter, tt.topic, false); got != tt.mqtt {
				t.Errorf("a tree with %q matches %q: %v", tt.filter, tt.topic, got)
			}
			if got := treeMatches(tt.filter, tt.topic, true); got != tt.rule {
				t.Errorf("a tree of rules with %q matches %q: %v", tt.filter, tt.topic, got)
			}
		})
	}
}

func treeMatches(filter, name string, rules bool) (found bool) {
	tree := topic.NewTree[int, int](rules)
	tree.Set(filter, 0, 0)
	tree.Match(name, func(int, int) { found = true })
	return found
}

func TestValid(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		asName   bool
		asFilter bool
	}{
		{"levels", "site/7/temp", true, true},
		{"empty levels", "/a//", true, true},
		{"spaces and other scripts", "Werk 7/温度", true, true},
		{"the longest", strings.Repeat("a", 65535), true, true},
		{"too long", strings.Repeat("a", 65536), false, false},
		{"empty", "", false, false},
		{"U+0000", "a\x00b", false, false},
		{"bytes that are not UTF-8", "a/\xff", false, false},
		{"a surrogate", "a/\xed\xa0\x80", false, false},
		{"a lone plus", "+", false, true},
		{"a lone hash", "#", false, true},
		{"plus as a level", "a/+/b", false, true},
		{"hash as the last level", "a/+/#", false, true},
		{"hash before another level", "a/#/b", false, false},
		{"hash before an empty level", "#/", false, false},
		{"hash behind a letter", "a#", false, false},
		{"plus behind a letter", "a/b+", false, false},
		{"plus before a letter", "+b/c", false, false},
		{"two wildcards in a level", "a/+#", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkValid(t, "ValidName", topic.ValidName(tt.text), tt.asName)
			checkValid(t, "ValidFilter", topic.ValidFilter(tt.text), tt.asFilter)
		})
	}
}

func checkValid(t *testing.T, function string, err error, want bool) {
	t.Helper()
	if (err == nil) != want {
		t.Errorf("%s: %v, want valid: %v", function, err, want)
	}
	if err != nil && !errors.Is(err, topic.ErrInvalid) {
		t.Errorf("%s: %v does not wrap ErrInvalid", function, err)
	}
}

// FuzzMatch checks, for every valid filter and name, that the tree agrees with
// Match and MatchRule, that a name matches itself, and that whatever matches as
// a rule matches in MQTT too.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"a/b", "a/b"}, {"a/+", "a/"}, {"a/#", "a"}, {"#", "$SYS"}, {"+/+", "/"}, {"$a/#", "$a/b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		if topic.ValidFilter(filter) != nil || topic.ValidName(name) != nil {
			return
		}
		mqtt, rule := topic.Match(filter, name), topic.MatchRule(filter, name)
		if got := treeMatches(filter, name, false); got != mqtt {
			t.Errorf("Match(%q, %q) = %v, but the tree says %v", filter, name, mqtt, got)
		}
		if got := treeMatches(filter, name, true); got != rule {
			t.Errorf("MatchRule(%q, %q) = %v, but the tree says %v", filter, name, rule, got)
		}
		if rule && !mqtt {
			t.Errorf("%q matches %q as a rule only", filter, name)
		}
		if !topic.Match(name, name) {
			t.Errorf("%q does not match itself", name)
		}
	})
}

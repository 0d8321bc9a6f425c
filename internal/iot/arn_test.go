package iot

import (
	"strings"
	"testing"
	"testing/quick"
)

func TestARNLike(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"*", "", true},
		{"**a**", "xax", true},
		{"a*b*c", "aXbYbZc", true},
		{"", "x", false},
		{strings.Repeat("a*", 60) + "b", strings.Repeat("a", 5000), false},
	}
	for _, tt := range tests {
		if got := ARNLike(tt.pattern, tt.text); got != tt.want {
			t.Errorf("ARNLike(%.20q, %.20q) = %v", tt.pattern, tt.text, got)
		}
	}
	if err := quick.Check(func(text string) bool { return ARNLike(text+"*", text) && ARNLike("*", text) }, nil); err != nil {
		t.Error(err)
	}
}

package logs

import (
	"errors"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestPattern(t *testing.T) {
	document := `{"level":"error","n":7,"ok":true,"none":null,"a":{"b":[{"c":"x"},{"c":"y"}]},"odd name":"1"}`
	for _, tt := range []struct {
		name, pattern, text string
		want                bool
	}{
		{"nothing matches everything", "", "x", true},
		{"a term", "ERROR", "an ERROR here", true},
		{"terms know case", "ERROR", "an error here", false},
		{"every term is needed", "ERROR disk", "ERROR network", false},
		{"one of the optional terms is enough", "?WARN ?ERROR", "WARN", true},
		{"none of the optional terms is not", "?WARN ?ERROR", "INFO", false},
		{"optional terms beside others are ignored", "?WARN disk", "disk", true},
		{"an excluded term", "ERROR -disk", "ERROR disk", false},
		{"a phrase", `"not found: 1"`, "was not found: 1 of", true},
		{"an escaped quote", `"say \"x\""`, `say "x"`, true},
		{"a regular expression", `%4\d\d%`, "status 404", true},
		{"a text member", `{ $.level = "error" }`, document, true},
		{"a text with a wildcard", `{ $.level = "err*" }`, document, true},
		{"an unquoted text", `{ $.level = error }`, document, true},
		{"not equal", `{ $.level != "error" }`, document, false},
		{"not equal needs the member", `{ $.missing != "error" }`, document, false},
		{"a number", `{ $.n > 6.5 }`, document, true},
		{"a number is no text", `{ $.n = "7" }`, document, false},
		{"and before or", `{ $.n = 1 && $.n = 2 || $.n = 7 }`, document, true},
		{"parentheses", `{ $.n = 7 && ($.level = "x" || $.ok IS TRUE) }`, document, true},
		{"null", `{ $.none IS NULL }`, document, true},
		{"absent is not null", `{ $.missing IS NULL }`, document, false},
		{"not exists", `{ $.missing NOT EXISTS }`, document, true},
		{"an element", `{ $.a.b[1].c = "y" }`, document, true},
		{"any element", `{ $.a.b[*].c = "y" }`, document, true},
		{"a quoted name", `{ $["odd name"] = "1" }`, document, true},
		{"what is not JSON", `{ $.missing NOT EXISTS }`, "plain text", false},
	} {
		m, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if m(tt.text) != tt.want {
			t.Errorf("%s: %s on %s is not %v", tt.name, tt.pattern, tt.text, tt.want)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		want          error
	}{
		{"a bare colon", "a:b", iot.ErrInvalid},
		{"an open quote", `"abc`, iot.ErrInvalid},
		{"an open brace", `{ $.a = 1`, iot.ErrInvalid},
		{"no operator", `{ $.a }`, iot.ErrInvalid},
		{"an order of texts", `{ $.a > "x" }`, iot.ErrInvalid},
		{"something behind", `{ $.a = 1 $.b = 2 }`, iot.ErrInvalid},
		{"a bad expression", `%(%`, iot.ErrInvalid},
		{"a huge expression", `%a{900}%`, iot.ErrInvalid},
		{"a bare question mark", "?", iot.ErrInvalid},
		{"a space-delimited pattern", "[ip, user]", iot.ErrUnsupported},
	} {
		if _, err := parsePattern(tt.pattern); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzPattern checks that any pattern is compiled or refused as invalid or
// unsupported, and that spaces around a pattern do not change what it selects.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"a -b ?c", `"x y"`, `{ $.a[*]["b"] >= 1 && ($.c IS NULL || $.d NOT EXISTS) }`, `%a+%`, "[x]", `{((((`} {
		f.Add(pattern, `{"a":[{"b":2}],"c":null}`)
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		m, err := parsePattern(pattern)
		if err != nil {
			if !errors.Is(err, iot.ErrInvalid) && !errors.Is(err, iot.ErrUnsupported) {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		padded, err := parsePattern(" " + pattern + "\n")
		if len(pattern) > maxPattern-2 {
			return
		}
		if err != nil || padded(text) != m(text) {
			t.Fatalf("%q with spaces around it: %v, or another verdict on %q", pattern, err, text)
		}
	})
}

package iotsql

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	for _, s := range []string{
		"", " ", "{", "}", "[", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1 2]", "[1}", "1 2",
		"01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "NaN", "nul", "truex", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\", "\"a\nb\"", "\ufeff{}",
		"null", "true", "false", "0", "-0", "1.5e-7", "1E+2", `"\"\\\/\b\f\n\r\t\u00e9"`, "[]", "{}", " [ 1 , {\"a\" : [ ] } ] \r\n", `{"a":{"b":[1,"]}"]}}`,
	} {
		if got, want := isJSON(s), json.Valid([]byte(s)); got != want {
			t.Errorf("isJSON(%q) is %t, want %t", s, got, want)
		}
	}
	if deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth); !isJSON(deep) || isJSON("["+deep+"]") {
		t.Errorf("nesting is not limited to %d levels", maxDepth)
	}
}

func TestUnquote(t *testing.T) {
	for _, s := range []string{
		`""`, `"plain é"`, `"\"\\\/\b\f\n\r\t"`, `"\u00e9\u20ac"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ude00"`, `"a\u0000b"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		if got := unquote(s); got != want {
			t.Errorf("unquote(%s) is %q, want %q", s, got, want)
		}
		var again string
		if err := json.Unmarshal(appendQuoted(nil, want), &again); err != nil || again != want {
			t.Errorf("%q is quoted as %s: %v", want, appendQuoted(nil, want), err)
		}
	}
}

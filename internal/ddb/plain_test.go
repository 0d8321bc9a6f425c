package ddb

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestFromJSON(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an object", `{"a":[1,true,null,"x"],"b":{}}`, `{"M":{"a":{"L":[{"N":"1"},{"BOOL":true},{"NULL":true},{"S":"x"}]},"b":{"M":{}}}}`},
		{"a number is exact", `12345678901234567890.12345678901234567`, `{"N":"12345678901234567890.12345678901234567"}`},
		{"a number out of range", `1e200`, `{"S":"1e200"}`},
		{"a number of 39 digits", `123456789012345678901234567890123456789`, `{"S":"123456789012345678901234567890123456789"}`},
		{"33 levels", strings.Repeat("[", 33) + strings.Repeat("]", 33), `{"S":"` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `"}`},
		{"32 levels", strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat(`{"L":[`, 32) + strings.Repeat(`]}`, 32)},
		{"a member without a name", `{"a":1.50,"b":{"":2}}`, `{"S":"{\"a\":1.50,\"b\":{\"\":2}}"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := FromJSON([]byte(tt.text))
			if got := string(v.AppendJSON(nil)); err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	for _, text := range []string{``, `{`, `1 2`} {
		if v, err := FromJSON([]byte(text)); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%q is %v, %v", text, v, err)
		}
	}
}

func TestAppendPlain(t *testing.T) {
	set, err := Set(String("b"), String("a"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := Number("1.50")
	if err != nil {
		t.Fatal(err)
	}
	item := Map(Item{"s": set, "n": n, "b": Binary([]byte{0xff}), "l": List(Null(), Bool(true), String("\"x")), "m": Map(Item{})})
	if got := string(item.AppendPlain(nil)); got != `{"b":"/w==","l":[null,true,"\"x"],"m":{},"n":1.5,"s":["a","b"]}` {
		t.Errorf("got %s", got)
	}
}

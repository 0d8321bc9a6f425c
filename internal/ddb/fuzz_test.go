package ddb

import (
	"bytes"
	"cmp"
	"errors"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// FuzzValue checks that every value accepted is written so that it reads back equal,
// also as an expression's value, and that what is refused is refused as invalid.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{
		`{"S":"a\u00e9\n"}`, `{"N":"-1.50e2"}`, `{"B":"AAE="}`, `{"BOOL":true}`, `{"NULL":true}`,
		`{"M":{"a":{"L":[{"SS":["b","a"]},{"NS":["1","2"]},{"BS":["AA=="]}]}}}`, `{"S":"a","N":"1"}`, `{"N":"1e999"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v, again Value
		if err := v.UnmarshalJSON(in); err != nil {
			if !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%q: %v is not an ErrInvalid", in, err)
			}
			return
		}
		out := v.AppendJSON(nil)
		if err := again.UnmarshalJSON(out); err != nil || !Equal(v, again) {
			t.Errorf("%q became %q, which reads as %v, %v", in, out, again, err)
		}
		var values Values
		if err := values.UnmarshalJSON([]byte(`{":v":` + string(in) + `}`)); err != nil || !Equal(v, values[":v"]) {
			t.Errorf("%q as an expression's value is %v, %v", in, values, err)
		}
		stored := AppendItem(nil, Item{"v": v})
		if i, err := DecodeItem(stored); err != nil || !Equal(v, i["v"]) {
			t.Errorf("%q was stored as %x, which reads as %v, %v", in, stored, i, err)
		}
	})
}

// FuzzStoredItem checks that every stored item that is accepted is the encoding of
// what it decodes to.
func FuzzStoredItem(f *testing.F) {
	set, err := Set(String("a"), String("b"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendItem(nil, Item{"a": Int(-5), "b": List(Bool(true), Null(), Binary([]byte{0})), "c": Map(Item{"d": set})}))
	f.Add([]byte{1, 1, 'a', byte(KindList), 0xFF, 0xFF, 0xFF, 0xFF, 0x0F})
	f.Fuzz(func(t *testing.T, in []byte) {
		i, err := DecodeItem(in)
		if err != nil {
			return
		}
		if out := AppendItem(nil, i); !bytes.Equal(in, out) {
			t.Errorf("%x decodes to %s, which encodes as %x", in, i.AppendJSON(nil), out)
		}
	})
}

// FuzzKey checks that keys sort as Compare does, whatever follows them.
func FuzzKey(f *testing.F) {
	f.Add("a", "a\x00", "1", "1.0")
	f.Add("", "\x00", "-1e-130", "9.9e125")
	f.Add("\xff", "\xff\xff", "-12", "-123")
	f.Fuzz(func(t *testing.T, s1, s2, n1, n2 string) {
		checkKeys(t, String(s1), String(s2))
		checkKeys(t, Binary([]byte(s1)), Binary([]byte(s2)))
		a, err1 := Number(n1)
		b, err2 := Number(n2)
		if err1 == nil && err2 == nil {
			checkKeys(t, a, b)
		}
	})
}

func checkKeys(t *testing.T, a, b Value) {
	t.Helper()
	want, _ := Compare(a, b)
	ka, err := AppendKey(nil, a)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := AppendKey(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range []struct{ a, b string }{{"", ""}, {"\xff", "\x00"}, {"\x00", "\xff"}} {
		got := cmp.Compare(string(ka)+tail.a, string(kb)+tail.b)
		if want != 0 && got != want {
			t.Errorf("%v against %v: Compare says %d, the keys %x and %x say %d", a, b, want, ka, kb, got)
		}
	}
	if want == 0 && !bytes.Equal(ka, kb) {
		t.Errorf("%v and %v are equal, their keys %x and %x are not", a, b, ka, kb)
	}
}

// FuzzExpressions checks that any text ends in an expression or an ErrInvalid, that
// an expression prints as one that parses to itself, and that it can be evaluated.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{
		"a = :s AND NOT (b <> :n OR size(#c) > :n)", "a BETWEEN :n AND :m", "(a) IN (:s, :n)", "((a = :s))",
		"attribute_type(a.b[1], :s)", "contains(l, :s) and begins_with(a, :s)", "a, l[1], l[0].x, #c",
		"SET a = if_not_exists(a, :n) + :n, l[3] = :s REMOVE l[0], m.x ADD n :n DELETE t :t",
		"SET l = list_append(l, :l)", "a = :s AND n > :n", "#", "a.", "NOT",
	} {
		f.Add(seed)
	}
	set, err := Set(String("a"), String("b"))
	if err != nil {
		f.Fatal(err)
	}
	item := Item{
		"a": String("s"), "n": Int(1), "l": List(Int(1), Map(Item{"x": Int(2)})), "m": Map(Item{"x": Int(1)}), "t": set,
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := NewScope(map[string]string{"#c": "count"}, map[string]Value{
			":s": String("S"), ":n": Int(1), ":m": Int(2), ":l": List(Int(3)), ":t": set,
		})
		if err != nil {
			t.Fatal(err)
		}
		reprints(t, text, s.Filter)
		reprints(t, text, s.KeyCondition)
		reprints(t, text, s.Projection)
		reprints(t, text, s.Update)
		if c, err := s.Condition(text); err == nil {
			c.Matches(item)
			c.Matches(nil)
		}
		if p, err := s.Projection(text); err == nil {
			p.Apply(item)
		}
		if u, err := s.Update(text); err == nil {
			if updated, err := u.Apply(item); err == nil {
				u.Touched().Apply(updated)
			} else if !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%q: %v is not an ErrInvalid", text, err)
			}
		}
	})
}

func reprints[E interface{ String() string }](t *testing.T, text string, parse func(string) (E, error)) {
	t.Helper()
	e, err := parse(text)
	if err != nil {
		if !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%q: %v is not an ErrInvalid", text, err)
		}
		return
	}
	printed := e.String()
	if len(printed) > maxExpression {
		return // white space that the original did without
	}
	again, err := parse(printed)
	if err != nil || again.String() != printed {
		t.Errorf("%q prints as %q, which parses to %v, %v", text, printed, again, err)
	}
}

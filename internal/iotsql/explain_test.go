package iotsql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// explained is an explanation as lines: variables, then the parts of WHERE indented
// by their depth.
func explained(e Explanation) string {
	var b strings.Builder
	for _, v := range e.Variables {
		fmt.Fprintf(&b, "%s: %s\n", v.Text, v.Value)
	}
	for _, part := range e.Where {
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", part.Depth), part.Text, part.Value)
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	for _, c := range []struct{ name, sql, payload, want string }{
		{"no WHERE", "SELECT * FROM 't'", `{}`, ""},
		{"a constant", "SELECT * FROM 't' WHERE true", `{}`, "true: true\n"},
		{
			"operands before the constant ones", "SELECT * FROM 't' WHERE temp > 30 AND NOT (state.on = 'off')", `{"temp":31.50,"state":{"on":"on"}}`,
			"temp > 30 AND NOT (state.on = 'off'): true\n" +
				"  temp > 30: true\n    temp: 31.5\n" +
				"  NOT (state.on = 'off'): true\n    state.on = 'off': false\n      state.on: \"on\"\n",
		},
		{
			"what Undefined comes from", "select * from 't' where  a.b[0]  >=-1  or  abs( c )=1", `{"c":"x"}`,
			"a.b[0]  >=-1  or  abs( c )=1: Undefined\n" +
				"  a.b[0]  >=-1: Undefined\n    a.b[0]: Undefined\n" +
				"  abs( c )=1: Undefined\n    abs( c ): Undefined\n      c: \"x\"\n",
		},
		{
			"variables and where they are used", "SET @c = (f - 32) * 5 / 9, @o = {'c': @c} SELECT * FROM 't' WHERE @o.c > 9", `{"f":50}`,
			"@c: 10\n@o: {\"c\":10}\n@o.c > 9: true\n  @o.c: 10\n",
		},
		{
			"every operator", "SELECT * FROM 't' WHERE a IN (1, b) = (a LIKE 'x%') = (a NOT BETWEEN 1 AND b) = (a IS NULL) = (a IN [1]) = (-a < [a][b])", `{"a":1,"b":2}`,
			"a IN (1, b) = (a LIKE 'x%') = (a NOT BETWEEN 1 AND b) = (a IS NULL) = (a IN [1]) = (-a < [a][b]): Undefined\n" +
				"  a IN (1, b) = (a LIKE 'x%') = (a NOT BETWEEN 1 AND b) = (a IS NULL) = (a IN [1]): false\n" +
				"    a IN (1, b) = (a LIKE 'x%') = (a NOT BETWEEN 1 AND b) = (a IS NULL): false\n" +
				"      a IN (1, b) = (a LIKE 'x%') = (a NOT BETWEEN 1 AND b): true\n" +
				"        a IN (1, b) = (a LIKE 'x%'): false\n" +
				"          a IN (1, b): true\n            a: 1\n            b: 2\n" +
				"          a LIKE 'x%': false\n            a: 1\n" +
				"        a NOT BETWEEN 1 AND b: false\n          a: 1\n          b: 2\n" +
				"      a IS NULL: false\n        a: 1\n" +
				"    a IN [1]: true\n      a: 1\n" +
				"  -a < [a][b]: Undefined\n    -a: -1\n      a: 1\n    [a][b]: Undefined\n      [a]: [1]\n        a: 1\n      b: 2\n",
		},
		{
			"the branch of CASE that is taken", "SELECT * FROM 't' WHERE CASE a WHEN b THEN x WHEN 1 THEN y ELSE z END", `{"a":1,"b":2,"y":true}`,
			"CASE a WHEN b THEN x WHEN 1 THEN y ELSE z END: true\n  a: 1\n  b: 2\n  y: true\n",
		},
		{
			"a nested SELECT as a whole", "SELECT * FROM 't' WHERE EXISTS(SELECT VALUE n FROM l AS n WHERE n > 1) AND get((SELECT * FROM o), 0).x = cast(y AS Int)", `{"l":[1,2],"o":{"x":1},"y":1.5}`,
			"EXISTS(SELECT VALUE n FROM l AS n WHERE n > 1) AND get((SELECT * FROM o), 0).x = cast(y AS Int): true\n" +
				"  EXISTS(SELECT VALUE n FROM l AS n WHERE n > 1): true\n    SELECT VALUE n FROM l AS n WHERE n > 1: [2]\n" +
				"  get((SELECT * FROM o), 0).x = cast(y AS Int): true\n" +
				"    get((SELECT * FROM o), 0).x: 1\n      get((SELECT * FROM o), 0): {\"x\":1}\n        SELECT * FROM o: [{\"x\":1}]\n" +
				"    cast(y AS Int): 1\n      y: 1.5\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.sql, "2016-03-23")
			if err != nil {
				t.Fatal(err)
			}
			e, err := s.Explain(testEnv(c.payload))
			if got := explained(e); err != nil || got != c.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, c.want)
			}
			for _, part := range append(e.Variables, e.Where...) {
				if !strings.HasPrefix(c.sql[part.Offset:], part.Text) {
					t.Errorf("%q is not at %d", part.Text, part.Offset)
				}
			}
		})
	}
}

func TestExplainCallsOutOnce(t *testing.T) {
	s, err := Parse("SET @r = aws_lambda('f', a) SELECT @r AS r FROM 't' WHERE aws_lambda('f', a).x = 1 AND @r.x = 1", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{results: map[string]string{"aws_lambda": `{"x":1}`}}
	e, err := s.Explain(o.env(`{"a":2}`))
	if err != nil || string(e.Payload) != `{"r":{"x":1}}` || len(o.calls) != 1 {
		t.Errorf("%s, %v after %q", e.Payload, err, o.calls)
	}
}

func TestExplainShowsWhatCameBeforeAnError(t *testing.T) {
	s, err := Parse("SET @a = 1, @b = aws_lambda('f', @a), @c = 2 SELECT * FROM 't' WHERE @a = 1", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	e, err := s.Explain((&outside{fails: down}).env(`{}`))
	if got := explained(e); !errors.Is(err, down) || got != "@a: 1\n" {
		t.Errorf("%v\n%s", err, got)
	}
	if s, err = Parse("SELECT * FROM 't' WHERE a = 1 AND aws_lambda('f', a) = 1", "2016-03-23"); err != nil {
		t.Fatal(err)
	}
	e, err = s.Explain((&outside{fails: down}).env(`{"a":1}`))
	if got := explained(e); !errors.Is(err, down) || got != "  a = 1: true\n    a: 1\n      a: 1\n" {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestExplainCutsLongValues(t *testing.T) {
	s, err := Parse("SELECT * FROM 't' WHERE s = 'x' OR * = l", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Explain(testEnv(`{"s":"` + strings.Repeat("é", 5000) + `","l":[` + strings.Repeat("[],", 100_000) + `0]}`))
	if err != nil {
		t.Fatal(err)
	}
	long := 0
	for _, part := range e.Where {
		if len(part.Value) > maxShown+len("…") {
			t.Errorf("%s is shown in %d bytes", part.Text, len(part.Value))
		}
		if strings.HasSuffix(part.Value, "…") {
			long++
		}
	}
	if long != 3 {
		t.Errorf("%d long values, want 3", long)
	}
}

func TestExplainIsBounded(t *testing.T) {
	s, err := Parse("SELECT * FROM 't' WHERE missing"+strings.Repeat(" - a", 15_000), "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Explain(testEnv(`{"a":"x"}`))
	size := 0
	for _, part := range e.Where {
		size += len(part.Text) + len(part.Value)
	}
	if err != nil || len(e.Where) != maxParts || size > 3*maxShown*maxParts {
		t.Errorf("%v, %d parts of %d bytes", err, len(e.Where), size)
	}
}

// TestPartsCanBeReplaced holds that parts and withParts agree for every kind of
// expression: nothing is lost or moved.
func TestPartsCanBeReplaced(t *testing.T) {
	var copied func(n node) node
	copied = func(n node) node {
		var inner []node
		for _, part := range parts(n) {
			inner = append(inner, copied(part))
		}
		return withParts(n, inner)
	}
	for _, sql := range seeds() {
		s, err := Parse(sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range s.items {
			if got := sourceOf(copied(it.expr)); got != sourceOf(it.expr) {
				t.Errorf("%s becomes %s", sourceOf(it.expr), got)
			}
		}
		if s.where != nil {
			if got := sourceOf(copied(s.where)); got != sourceOf(s.where) {
				t.Errorf("%s becomes %s", sourceOf(s.where), got)
			}
		}
	}
}

// FuzzExplain checks that an explained evaluation is the evaluation, and that its
// parts stand where they say.
func FuzzExplain(f *testing.F) {
	for _, sql := range seeds() {
		f.Add(sql, []byte(`{"a":{"b":[{"c":1.50}]},"b":[{"k":1}],"x":"7","d":{"e":[{"a":1,"b":"x","g":2}]},"value":5.0}`))
		f.Add(strings.Replace(sql, " FROM 't'", " FROM 't' WHERE NOT a = 1 AND CASE x WHEN 1 THEN b ELSE (SELECT a FROM d) END", 1), []byte(`[1]`))
	}
	f.Fuzz(func(t *testing.T, sql string, payload []byte) {
		if strings.Contains(strings.ToLower(sql), "rand") {
			return // differs from one evaluation to the next
		}
		for _, version := range []string{"2015-10-08", "2016-03-23"} {
			s, err := Parse(sql, version)
			if err != nil {
				continue
			}
			want, wantErr := s.Eval(testEnv(string(payload)))
			got, err := s.Explain(testEnv(string(payload)))
			if fmt.Sprint(got.Result) != fmt.Sprint(want) || fmt.Sprint(err) != fmt.Sprint(wantErr) || errors.Is(err, iot.ErrLimit) != errors.Is(wantErr, iot.ErrLimit) {
				t.Errorf("%s of %q gives %+v, %v, and explained %+v, %v", sql, payload, want, wantErr, got.Result, err)
			}
			for _, part := range append(got.Variables, got.Where...) {
				if !strings.HasPrefix(sql[part.Offset:], strings.TrimSuffix(part.Text, "…")) || part.Value == "" || part.Text == "" {
					t.Errorf("%s has %+v", sql, part)
				}
			}
		}
	})
}

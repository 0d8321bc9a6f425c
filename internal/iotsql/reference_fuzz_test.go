package iotsql

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzAgainstReference checks that Eval and the reference agree on whether a
// statement of 2016-03-23 fires on a message, on whether it selects Undefined, and
// on what it selects, as JSON values: numbers by value, objects without order. Where
// the reference has no opinion, or Eval ends at its budget, nothing is compared.
func FuzzAgainstReference(f *testing.F) {
	for _, sql := range append(seeds(), referenceSeeds()...) {
		for _, payload := range referencePayloads() {
			f.Add(sql, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, sql string, payload []byte) {
		if s, err := Parse(sql, "2016-03-23"); err == nil && utf8.ValidString(sql) {
			checkReference(t, s, payload)
		}
	})
}

func referenceSeeds() []string {
	return []string{
		"SELECT *, a AS x, b AS zz FROM 't'", "SELECT *, 1 AS a, b.c AS e, nothing AS d FROM 't' WHERE a <> 2",
		"SELECT *, a AS p.q FROM 't'", "SELECT b.*, 1 AS c, *.b.*, d.* FROM 't'", "SELECT (SELECT e.*, 1 AS k FROM d AS e) AS r FROM 't'", "SELECT * AS p, *.a, *, a FROM 't'", "SELECT a, b.c, d[0].k, d FROM 't'",
		"SELECT (SELECT * FROM d) AS rows, (SELECT *, 1 AS k FROM d AS e WHERE e.k > 0) AS more FROM 't'",
		"SELECT (SELECT VALUE k FROM d) AS ks, (SELECT k AS x.y, a FROM *) AS one, (SELECT VALUE e FROM a AS e) FROM 't'",
		"SELECT VALUE d FROM 't'", "SELECT VALUE b FROM 't' WHERE EXISTS (SELECT * FROM d WHERE k >= 2)",
		"SELECT VALUE nothing FROM 't'", "SELECT VALUE [a, b, 'x', NULL] FROM 't'", "SELECT VALUE cast(b AS string) FROM 't'",
		"SELECT a + a, a - 1, a * a, a / 3, a % 2, -a, a < 2, a >= 2, a = 1, a + 'x', b = b, d = d FROM 't'",
		"SELECT a IN [1, 2], a IN (d, 1), s LIKE '%e_%', a BETWEEN 0 AND 3, a IS NULL, n IS NOT NULL FROM 't'",
		"SELECT CASE a WHEN 1 THEN 'one' WHEN 2 THEN b ELSE s END AS c, {'k': a, 'l': nothing} AS o FROM 't'",
		"SET @x = b.c, @y = @x + 1 SELECT @x, @y AS y FROM 't' WHERE NOT (@y = 0 AND a = 2) OR s = 'true'",
		"SELECT get_or_default(a, 1), isnull(n), isundefined(z), abs(a), ceil(a), floor(a), length(s), topic() FROM 't'",
	}
}

func referencePayloads() []string {
	return []string{
		`{"a":1,"b":{"c":2.50,"c":3.50},"d":[{"k":1},{"k":2.0,"a":"in"}],"s":"the \"text\" \u00e9\/","n":null}`,
		"{\"a\" : -0.0 , \"b\":\t{\"c\":[1.10,1E3,12345678901234567890,0.00000012]},\n\"d\":{\"k\":5},\"s\":\"true\",\"a\":2}",
		`{"\u0061":"7","b":"x","d":[],"s":"` + "\u20ac\u2028" + `","k":{"a":{"a":[[],{}]}}}`,
		`[{"a":1}]`, `"text"`, `7.0`, `true`, ` {"a":1} x`, "{\"s\":\"\xff\"}", "", "plain", `{"a":1,"d":[1,2],"b":{"c":01}}`,
		manyKeys(), many(300),
	}
}

// many is an object of so many keys, all but one of them once.
func many(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, `"key%03d":%d.%d,`, i, i, i%7)
	}
	return "{" + b.String() + `"key005":"again","a":[1]}`
}

func checkReference(t *testing.T, s *Statement, payload []byte) {
	t.Helper()
	env := testEnv(string(payload))
	got, err := s.Eval(env)
	if err != nil {
		return // the budget
	}
	want, err := interpret(s, env)
	if err != nil {
		return // no opinion
	}
	_, isAbsent := want.value.(absent)
	switch {
	case got.Fired != want.fired:
		t.Errorf("%s on %q fires: %t, and by the reference %t", s, payload, got.Fired, want.fired)
	case !want.fired || want.bytes && got.Passthrough:
	case got.Passthrough && !isJSON(string(payload)): // SELECT VALUE *
		if want.value != any(binaryPayload(string(payload)).text) {
			t.Errorf("%s on %q forwards it, and by the reference gives %s", s, payload, render(want.value))
		}
	case want.bytes || got.Undefined != isAbsent:
		t.Errorf("%s on %q: %+v, and by the reference %+v", s, payload, got, want)
	case !isAbsent:
		out, ok := decodePayload(got.Payload)
		expected, _ := decodePayload([]byte(render(want.value)))
		if !ok || !same(out, expected) {
			t.Errorf("%s on %q gives %s, and by the reference %s", s, payload, got.Payload, render(want.value))
		}
	}
	if !got.Passthrough && !got.Undefined && got.Fired && !json.Valid(got.Payload) {
		t.Errorf("%s on %q gives %q, which is not JSON", s, payload, got.Payload)
	}
}

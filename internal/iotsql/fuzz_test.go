package iotsql

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// seeds are statements that between them use every construct.
func seeds() []string {
	return []string{
		"SELECT * FROM 'a/+/b'",
		"SELECT *, topic(2) AS t, a.b[0].c FROM 'x' WHERE NOT a = 1 AND b <> 'it''s' OR -c >= 2.5E-3",
		"SET @a = x + 1, @b = @a * 2 SELECT @b AS p.q, @a AS p.r FROM \"t\" WHERE @a > 3",
		"SELECT VALUE * FROM 't'", "SELECT VALUE ([1, 2]) FROM t/x", "SELECT value - 1, (value) * 2 FROM 't'",
		"SELECT VALUE (-x) FROM 't'", "SELECT value LIKE 'a%', value NOT IN (1) FROM 't'",
		"SELECT (SELECT a, b AS c FROM d.e AS f WHERE f.g IN [1, 2] AND a NOT IN ('x')) AS r FROM 't'",
		"SELECT CASE a WHEN 1 THEN {'k': [b]} ELSE NULL END, cast(x AS int), isNull(SELECT VALUE a FROM b) FROM 't'",
		"SELECT * FROM 't' WHERE EXISTS (SELECT * FROM a AS b WHERE b = 1) AND x BETWEEN 1 AND 2 OR y IS NOT NULL",
		"SELECT concat(a, 'b', [c]), substring(a, 1, 2), encode(*, 'base64'), get(a, 'b').c, a % 3 / 0 FROM '#'",
		"SET @x = aws_lambda('f', {'k': *}) SELECT @x.y, get_dynamodb('t', 'k', a, 'r') FROM 't' WHERE get_or_default(get_registry_data('DescribeThing', topic(1), 'r').z, false)",
		"SELECT VALUE -x FROM 't' WHERE a NOT BETWEEN -1 AND 1 OR a NOT LIKE b OR traceid() IS NULL OR end = 1",
		"SELECT transform('enrichArray', {'k': a}, b), decode(c, 'base64').d, trunc(x, 2), lpad(x, 2), power(x, 2) FROM 't'",
	}
}

// FuzzParse checks that what is accepted prints to a statement that parses to the
// same printed text, and has the same filter.
func FuzzParse(f *testing.F) {
	for _, sql := range seeds() {
		f.Add(sql, "2016-03-23")
	}
	f.Fuzz(func(t *testing.T, sql, version string) {
		s, err := Parse(sql, version)
		if err != nil {
			return // refusing is always allowed; panicking is not
		}
		printed := s.String()
		again, err := Parse(printed, version)
		if len(printed) > maxText {
			return // the one spelling may be longer
		}
		if err != nil {
			t.Fatalf("%q prints as %q, which does not parse: %v", sql, printed, err)
		}
		if again.String() != printed || again.Filter() != s.Filter() {
			t.Errorf("%q prints as %q, and that as %q", sql, printed, again)
		}
	})
}

// FuzzEval checks that a statement of the seeds, or any other, gives valid JSON on
// every payload, unless it forwards the payload or selects Undefined.
func FuzzEval(f *testing.F) {
	for _, sql := range seeds() {
		f.Add(sql, []byte(`{"a":{"b":[{"c":1.50}]},"b":[{"k":1}],"x":"7","d":{"e":[{"a":1,"b":"\u00e9\ud83d\ude00","g":2}]},"value":5.0}`))
		f.Add(sql, []byte(`[1e400,-0.0,"\ud800",{}]`))
		f.Add(sql, []byte("{\"a\":\"\xff\"}"))
	}
	f.Fuzz(func(t *testing.T, sql string, payload []byte) {
		if isJSON(string(payload)) && !json.Valid(payload) {
			t.Errorf("%q is taken for JSON", payload)
		}
		for _, version := range []string{"2015-10-08", "2016-03-23"} {
			s, err := Parse(sql, version)
			if err != nil {
				continue
			}
			got, err := s.Eval(&Env{Message: &iot.Message{Topic: "a/b/c", Payload: payload, Origin: iot.Origin{Arrived: time.UnixMilli(1)}}})
			if err != nil || !got.Fired || got.Passthrough {
				continue
			}
			if got.Undefined != (len(got.Payload) == 0) || !got.Undefined && !isJSON(string(got.Payload)) {
				t.Errorf("%s of %q gives %q", sql, payload, got.Payload)
			}
		}
	})
}

// FuzzNumber checks that a number reads back from both of its renderings: exactly
// from the one, and as the same text from the other.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "-0.0", "1E-999", "12345678901234567890.5", "0.000001", "9.99E999", "1e22"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parseNumber(text)
		if !ok {
			return
		}
		exact := string(n.appendExact(nil))
		if m, ok := parseNumber(exact); !ok || compare(n, m) != 0 || m.exponent() != n.exponent() {
			t.Errorf("%s is written as %s, which is not it", text, exact)
		}
		double := string(n.appendDouble(nil))
		m, ok := parseNumber(double)
		if again := string(m.appendDouble(nil)); !ok || again != double {
			t.Errorf("%s is written as %s, and that as %s", text, double, again)
		}
	})
}

// FuzzTemplate checks that what is accepted expands, to itself when there is nothing
// to expand, and that an error action accepts less: what does not call out.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{
		"", "a/b", "${a}", "$${a}/${'}' + b}", "${get({'}': a}, '}')}", "${SELECT VALUE x FROM l AS x}", "${@v.a}", "${@w}", "${aws_lambda('f', a)}", "${a", "$ {a}",
	} {
		f.Add(text, []byte(`{"a":1.50,"b":"x","l":[1,{}]}`))
	}
	s, err := Parse("SET @v = {'a': a}, @w = get_or_default(aws_lambda('f', 1), 2) SELECT * FROM 't'", "2016-03-23")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		tmpl, err := s.Template(text)
		inError, errInError := s.ErrorTemplate(text)
		if err != nil {
			if errInError == nil {
				t.Errorf("%q is accepted in an error action only", text)
			}
			return
		}
		if (errInError != nil) != tmpl.CallsOut() || errInError == nil && inError.CallsOut() {
			t.Errorf("%q calls out: %t, and in an error action: %v", text, tmpl.CallsOut(), errInError)
		}
		env := testEnv(string(payload))
		env.Call = func(Call) (json.RawMessage, error) { return json.RawMessage(`{"r":1}`), nil }
		got, err := tmpl.Expand(env)
		if !strings.Contains(text, "${") && (err != nil || got != text) {
			t.Errorf("%q expands to %q, %v", text, got, err)
		}
		if err != nil && !errors.Is(err, iot.ErrLimit) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

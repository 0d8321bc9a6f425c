package iotsql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// What is not about one operator or function (those are in matrix_test.go) is here,
// in the order of the specification.

func TestStatementForm(t *testing.T) {
	const payload = `{"a":1,"end":2,"set":3,"like":4,"value":{"x":5},"o":{"from":6,"where":7}}`
	for _, c := range []struct{ name, sql, want string }{
		{"keywords in any case", "sElEcT A, a aS b FrOm 't' wHeRe NoT a = 2 aNd TRUE oR fAlSe", `{"b":1}`},
		{"any white space", "\tSELECT\r\n a\n\nFROM\t't'\n", `{"a":1}`},
		{"no white space", "SELECT(a)AS b,[a]AS c FROM't'WHERE(a=1)", `{"b":1,"c":[1]}`},
		{"a filter in double quotes", `SELECT a FROM "t"`, `{"a":1}`},
		{"a bare filter", "SELECT a FROM a/+/b WHERE a = 1", `{"a":1}`},
		{"aliases of more parts", "SELECT a AS x.y.z, a AS x.y.w, a AS x.v", `{"x":{"y":{"z":1,"w":1},"v":1}}`},
		{"an undefined dotted alias makes no object", "SELECT missing AS x.y", `{}`},
		{"the members of a path", "SELECT o.*, a", `{"from":6,"where":7,"a":1}`},
		{"the members of a path alone", "SELECT o.* FROM 't'", `{"from":6,"where":7}`},
		{"the members of a path in an order", "SELECT 5 AS where, value.*, o.*, 8 AS from", `{"where":7,"x":5,"from":8}`},
		{"the members of a path with a name", "SELECT o.* AS p", `{"p":{"from":6,"where":7}}`},
		{"the members of what has none", "SELECT a.*, missing.*, o.from.*, end", `{"end":2}`},
		{"the members of a row", "SELECT (SELECT r.*, 1 AS k FROM [o] AS r) AS l", `{"l":[{"from":6,"where":7,"k":1}]}`},
		{"words of other clauses as names", "SELECT end, set, like, o.from, o.where AS select", `{"end":2,"set":3,"like":4,"from":6,"select":7}`},
		{"value as a name", "SELECT value.x, a AS value, value AS w", `{"x":5,"value":1,"w":{"x":5}}`},
		{"the keyword before a name of a clause", "SELECT VALUE end", `2`},
		{"the keyword before a negative value", "SELECT VALUE -a FROM 't'", `-1`},
		{"the keyword before an array", "SELECT VALUE [a, o.from] FROM 't'", `[1,6]`},
		{"the keyword before an array of one", "SELECT VALUE [a]", `[1]`},
		{"an element of value is none", "SELECT value[0] AS x, a", `{"a":1}`},
		{"a difference is none", "SELECT value.x - a AS d, value -1 AS e", `{"d":4}`},
		{"CASE ends at its END", "SELECT CASE a WHEN 1 THEN 'x' END AS end, end AS e", `{"end":"x","e":2}`},
		{"other expressions are named for their text as it is written", "SELECT a+1, ( a ), upper('x')  +'y', 'q', [a] , -a", `{"a+1":2,"a":1,"upper('x')  +'y'":"Xy","'q'":"q","[a]":[1],"-a":-1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := evaluate(t, c.sql, "2016-03-23", payload); string(got.Payload) != c.want {
				t.Errorf("%s gives %s, want %s", c.sql, got.Payload, c.want)
			}
		})
	}
}

func TestNothingMayFollowAStatement(t *testing.T) {
	for _, tail := range []string{
		";", " ORDER BY a", " LIMIT 1", " GROUP BY a", " JOIN 'u'", ", 'u'", " FROM 'u'", " SELECT b", " -- done", " /* done */", " WHERE a WHERE b", " )", " AS x",
	} {
		sql := "SELECT a FROM 't'" + tail
		if _, err := Parse(sql, "2016-03-23"); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestRangeOfNumbers(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"9.99E999 > 1E999", "", "true"},
		{"1E-999 > 0", "", "true"},
		{"a", `{"a":1E-1001}`, undefined},
		{"cast('1E1000' AS Double)", "", undefined},
		{"1E-999 / 10", "", "0"},
		{"1234567890123456789012345678901234", "", "1234567890123456789012345678901234"},
		{"1234567890123456789012345678901234 * 10 = 12345678901234567890123456789012340", "", "true"},
	})
	for _, literal := range []string{"1E1000", "1E-1000", "1E99999999999999999999"} {
		if _, err := Parse("SELECT "+literal, ""); err == nil || !strings.Contains(err.Error(), "a number between 1E-999 and 1E1000") {
			t.Errorf("%s: %v", literal, err)
		}
	}
}

func TestPrecedence(t *testing.T) {
	for expr, want := range map[string]string{
		"a OR b AND c":            "a OR (b AND c)",
		"NOT a AND b":             "(NOT a) AND b",
		"NOT a = b":               "NOT (a = b)",
		"NOT a IN b":              "NOT (a IN b)",
		"a = b + c":               "a = (b + c)",
		"a < b = c":               "(a < b) = c",
		"a IN b = c":              "(a IN b) = c",
		"a + b * c":               "a + (b * c)",
		"a - b + c":               "(a - b) + c",
		"a / b * c":               "(a / b) * c",
		"-a * b":                  "(-a) * b",
		"-a.b":                    "-(a.b)",
		"-a[0]":                   "-(a[0])",
		"a BETWEEN b AND c AND d": "(a BETWEEN b AND c) AND d",
		"a LIKE b + c":            "a LIKE (b + c)",
		"a IS NULL = b":           "(a IS NULL) = b",
	} {
		left, err := Parse("SELECT VALUE ("+expr+")", "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		right, err := Parse("SELECT VALUE ("+want+")", "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		if left.String() != right.String() {
			t.Errorf("%s is read as %s", expr, left)
		}
	}
}

func TestSetIsEvaluatedFirst(t *testing.T) {
	s, err := Parse("SET @f = aws_lambda('f', 1) SELECT a FROM 't' WHERE false", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	if _, err := s.Eval((&outside{fails: down}).env("{}")); !errors.Is(err, down) {
		t.Errorf("a SET that fails before a WHERE that does not hold: %v", err)
	}
}

func TestSizeOfSet(t *testing.T) {
	const limit = 128 << 10
	for _, c := range []struct {
		sql  string
		size int // of the text at s
		fits bool
	}{
		{"SET @a = s SELECT 1", limit - 2, true}, // and its quotes
		{"SET @a = s SELECT 1", limit - 1, false},
		{"SET @a = s, @b = @a SELECT 1", limit/2 - 2, true},
		{"SET @a = s, @b = @a SELECT 1", limit/2 - 1, false},
		{"SET @a = length(s), @b = @a SELECT 1", limit, true},
	} {
		s, err := Parse(c.sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Eval(testEnv(`{"s":"` + strings.Repeat("x", c.size) + `"}`))
		if (err == nil) != c.fits || err != nil && !errors.Is(err, iot.ErrLimit) {
			t.Errorf("%s of %d bytes: %v", c.sql, c.size, err)
		}
	}
}

func TestWhereSetVariablesMayStand(t *testing.T) {
	for sql, want := range map[string]string{
		"SET @a = l SELECT (SELECT VALUE n + @k FROM @a AS n) AS r FROM 't'":      "parse",
		"SET @a = l, @k = 1 SELECT (SELECT VALUE n + @k FROM @a AS n) AS r":       `{"r":[2,3]}`,
		"SET @a = l SELECT get(@a, 1) AS r, @a[0] AS s WHERE @a[0] = 1":           `{"r":2,"s":1}`,
		"SET @a = {'b': l} SELECT VALUE @a.b":                                     `[1,2]`,
		"SET @a = 1, @A = 2 SELECT @a AS r, @A AS s":                              `{"r":1,"s":2}`,
		"SET @a1_B = 1 SELECT @a1_B":                                              `{"@a1_B":1}`,
		"SET @" + strings.Repeat("x", 64) + " = 1 SELECT 1 AS r":                  `{"r":1}`,
		"SET @a=1,@b=1,@c=1,@d=1,@e=1,@f=1,@g=1,@h=1,@i=1,@j=@a SELECT @j AS r":   `{"r":1}`,
		"SELECT (SELECT VALUE @x FROM l) FROM 't'":                                "parse",
		"SET @a = @b, @b = 1 SELECT @a":                                           "parse",
		"SET @a = 1 SET @b = 2 SELECT @a":                                         "parse",
		"SET SELECT 1":                                                            "parse",
		"SET @a = 1, SELECT @a":                                                   "parse",
		"SET @a = (SELECT VALUE n FROM l AS n WHERE n > 1)[0] SELECT @a + 1 AS r": `{"r":3}`,
	} {
		s, err := Parse(sql, "2016-03-23")
		if (err != nil) != (want == "parse") {
			t.Errorf("%s: %v", sql, err)
		}
		if err != nil {
			continue
		}
		if got, err := s.Eval(testEnv(`{"l":[1,2]}`)); err != nil || string(got.Payload) != want {
			t.Errorf("%s gives %s, %v; want %s", sql, got.Payload, err, want)
		}
	}
}

func TestSourcesOfNestedSelect(t *testing.T) {
	const payload = `{"l":[{"n":1,"in":[5]},{"n":2,"in":[6,7]}],"o":{"l":[{"n":3}]},"t":"x","e":[],"mixed":[1,"a",null,[2],{"n":4}]}`
	checkValues(t, "2016-03-23", []valueCase{
		{"SELECT n FROM o.l", payload, `[{"n":3}]`},
		{"SELECT n FROM l[1]", payload, `[{"n":2}]`},
		{"SELECT VALUE n FROM (SELECT * FROM l WHERE n = 2)", payload, `[2]`},
		{"SELECT VALUE n FROM [{'n': 8}]", payload, `[8]`},
		{"SELECT VALUE n FROM get(o, 'l')", payload, `[3]`},
		{"SELECT VALUE n FROM e", payload, `[]`},
		{"SELECT VALUE n FROM t", payload, undefined},
		{"SELECT VALUE n FROM NULL", payload, undefined},
		{"SELECT VALUE n FROM true", payload, undefined},
		{"SELECT VALUE * FROM mixed", payload, `[1,"a",null,[2],{"n":4}]`},
		{"SELECT VALUE m FROM mixed AS m WHERE m = 'a'", payload, `["a"]`},
		{"SELECT VALUE n FROM mixed", payload, `[4]`},
		{"SELECT *, 1 AS x FROM mixed WHERE n = 4", payload, `[{"n":4,"x":1}]`},
		{"SELECT missing FROM e", payload, `[]`},
		{"SELECT missing FROM l WHERE n = 1", payload, `[{}]`},
		{"SELECT (SELECT VALUE * FROM x.ins) AS i FROM a AS x", `{"a":[{"ins":[1]},{"ins":[2,3]}]}`, `[{"i":[1]},{"i":[2,3]}]`},
		{"SELECT n AS a.b FROM l WHERE n = 1", payload, `[{"a":{"b":1}}]`},
		{"SELECT topic(2) AS t, timestamp() FROM l WHERE n = 1", payload, `[{"t":"7","timestamp":1700000000123}]`},
		{"(SELECT o.l FROM *)[0].l[0].n", payload, "3"},
	})
}

func TestCase(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"CASE a WHEN 1 THEN 'x' WHEN 1.0 THEN 'y' END", `{"a":1}`, `"x"`},
		{"CASE a WHEN missing THEN 'x' ELSE 'y' END", `{"a":1}`, `"y"`},
		{"CASE a WHEN NULL THEN 'x' ELSE 'y' END", `{"a":null}`, `"x"`},
		{"CASE a WHEN 1 THEN missing ELSE 'y' END", `{"a":1}`, undefined},
		{"CASE a > 1 WHEN true THEN CASE a WHEN 2 THEN 'two' END ELSE 'one' END", `{"a":2}`, `"two"`},
		{"CASE a WHEN b THEN c END", `{"a":1,"b":1,"c":3}`, "3"},
	})
}

func TestSizeOfTransform(t *testing.T) {
	s, err := Parse("SELECT VALUE transform('enrichArray', {'k': s}, l)", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	const overhead = len(`[{"k":""},{"k":""}]`)
	for _, c := range []struct {
		size int
		fits bool
	}{{(128<<10 - overhead) / 2, true}, {(128<<10-overhead)/2 + 1, false}} {
		_, err := s.Eval(testEnv(`{"s":"` + strings.Repeat("x", c.size) + `","l":[{},{}]}`))
		if (err == nil) != c.fits || err != nil && !errors.Is(err, iot.ErrLimit) {
			t.Errorf("%d bytes: %v", c.size, err)
		}
	}
}

// TestEveryFunction holds what the specification says of all functions: names in any
// case, a wrong number of arguments is Undefined, and those that need 2016-03-23 do.
func TestEveryFunction(t *testing.T) {
	for _, table := range functionTables() {
		for _, f := range table {
			right := f.name + "(" + strings.TrimSuffix(strings.Repeat("lower('a'),", f.min), ",") + ")"
			if _, err := Parse("SELECT "+strings.ToUpper(right), "2016-03-23"); err != nil {
				t.Error(err)
			}
			_, err := Parse("SELECT "+right, "2015-10-08")
			if (err != nil) != f.newer || err != nil && !strings.Contains(err.Error(), "2016-03-23, which "+f.name+"() needs") {
				t.Errorf("%s in 2015-10-08: %v", right, err)
			}
			counts := []int{f.min - 1, f.max + 1}
			if f.max == unlimited {
				counts = counts[:1]
			}
			for _, n := range counts {
				if n < 0 {
					continue
				}
				expr := f.name + "(" + strings.TrimSuffix(strings.Repeat("lower('a'),", n), ",") + ")"
				if got := selectValue(t, expr, "2016-03-23", "{}"); got != undefined {
					t.Errorf("%s with %d arguments is %s", f.name, n, got)
				}
			}
		}
	}
}

func TestTemplateRendering(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"${a}", "5"},
		{"${b}", "true"},
		{"${s}", "x y"},
		{"${l}", "[1,2.5]"},
		{"${o}", `{"k":"v"}`},
		{"${n}", ""},
		{"${missing}", ""},
		{"${*}", `{"a":5,"b":true,"s":"x y","l":[1,2.5],"o":{"k":"v"},"n":null}`},
		{"$", "$"},
		{"$$", "$$"},
		{"$${a}", "$5"},
		{"{a}", "{a}"},
		{"}${a}{", "}5{"},
		{"${ a }", "5"},
		{"${'${a}'}", "${a}"},
		{`${"}"}`, "}"},
		{"${'it''s }'}", "it's }"},
		{"${{'a': {'b': a}}.a.b}", "5"},
		{"${get({'}': a}, '}')}", "5"},
		{"${[1, 2][1]}${[a]}", "2[5]"},
		{"${SELECT VALUE x FROM l AS x WHERE x > 2}", "[2.5]"},
		{"${CASE a WHEN 5 THEN 'five' END}", "five"},
		{"${a\n+ 1}", "6"},
		{"é${s}é", "éx yé"},
	} {
		tmpl, err := ParseTemplate(c.text, "2016-03-23")
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := tmpl.Expand(testEnv(`{"a":5.0,"b":true,"s":"x y","l":[1,2.50],"o":{"k": "v"},"n":null}`)); err != nil || got != c.want {
			t.Errorf("%s expands to %q, %v; want %q", c.text, got, err, c.want)
		}
	}
	if got := fmt.Sprint(expandOld(t, "${a}/${b + 1}")); got != "5.0/3.50" {
		t.Errorf("in 2015-10-08: %s", got)
	}
}

func expandOld(t *testing.T, text string) string {
	tmpl, err := ParseTemplate(text, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Expand(testEnv(`{"a":5.0,"b":2.50}`))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

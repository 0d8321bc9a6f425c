package iotsql

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const both = "" // test cases that hold in both versions

// undefined is what tests expect of an expression without a value.
const undefined = "Undefined"

func testEnv(payload string) *Env {
	return &Env{
		Message: &iot.Message{
			Topic:   "site/7/line",
			Payload: []byte(payload),
			Origin: iot.Origin{
				ClientID: "MyDevice001", Principal: "abc123", Protocol: iot.ProtocolMQTT,
				Source: netip.MustParseAddr("192.0.2.10"), Arrived: time.UnixMilli(1700000000123),
			},
		},
		Account: iot.Account{Region: "eu-west-1", ID: "123456789012"},
		NewUUID: func() string { return "6b0e1c9e-0000-4000-8000-000000000001" },
	}
}

func evaluate(t *testing.T, sql, version, payload string) Result {
	t.Helper()
	s, err := Parse(sql, version)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	got, err := s.Eval(testEnv(payload))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

// selectValue is the JSON of one expression.
func selectValue(t *testing.T, expr, version, payload string) string {
	t.Helper()
	got := evaluate(t, "SELECT VALUE ("+expr+") FROM 't'", version, payload)
	if got.Undefined {
		return undefined
	}
	return string(got.Payload)
}

type valueCase struct{ expr, payload, want string }

func checkValues(t *testing.T, version string, cases []valueCase) {
	t.Helper()
	for _, c := range cases {
		versions := []string{version}
		if version == both {
			versions = []string{"2015-10-08", "2016-03-23"}
		}
		if c.payload == "" {
			c.payload = "{}"
		}
		for _, v := range versions {
			if got := selectValue(t, c.expr, v, c.payload); got != c.want {
				t.Errorf("%s of %s in %s is %s, want %s", c.expr, c.payload, v, got, c.want)
			}
		}
	}
}

func TestArithmetic(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"1 + 2", "", "3"},
		{"1 + 2 * 3", "", "7"},
		{"(1 + 2) * 3", "", "9"},
		{"7 - 2 - 1", "", "4"},
		{"-a * 2", `{"a":4}`, "-8"},
		{"- - 3", "", "3"},
		{"0.1 + 0.2", "", "0.3"},
		{"20.1 * 9 / 5 + 32", "", "68.18"},
		{"'2' * '3'", "", "6"},
		{"'2' - 1", "", "1"},
		{"'2' + 1", "", `"21"`},
		{"'2' + '3'", "", `"23"`},
		{"'a' + 1.5 + true", "", `"a1.5true"`},
		{"'a' + a", `{"a":[1, 2]}`, `"a[1,2]"`},
		{"'a' + NULL", "", undefined},
		{"1 + NULL", "", undefined},
		{"1 + true", "", undefined},
		{"1 - 'x'", "", undefined},
		{"-'x'", "", undefined},
		{"missing * 2", "", undefined},
		{"10 / 5", "", "2"},
		{"10 / 4", "", "2.5"},
		{"-7 % 3", "", "-1"},
		{"7 % -3", "", "1"},
		{"7.5 % 2", "", "1.5"},
		{"1 % 0", "", undefined},
		{"999999999999999999 + 1", "", "1000000000000000000"},
		{"9223372036854775807 + 1", "", "9223372036854775808"},
		{"1234567890123456789012345678901234 - 1", "", "1234567890123456789012345678901233"},
		{"9.99E999 * 10", "", undefined},
	})
}

func TestNumbersIn2016AreFoldedDoubles(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"a", `{"a":5.0}`, "5"},
		{"a", `{"a":-0.0}`, "0"},
		{"a", `{"a":1E2}`, "100"},
		{"a", `{"a":1e33}`, "1" + strings.Repeat("0", 33)},
		{"a", `{"a":1e34}`, "1E34"},
		{"a", `{"a":36.903999599999999}`, "36.9039996"},
		{"a", `{"a":36.903999599999977}`, "36.90399959999998"},
		{"a", `{"a":1e-7}`, "1E-7"},
		{"a", `{"a":1.5e300}`, "1.5E300"},
		{"a", `{"a":1.5e999}`, "1.5E999"},
		{"a", `{"a":1e1000}`, undefined},
		{"a", `{"a":[1e1000, 2.50]}`, "[null,2.5]"},
		{"a", `{"a":12345678901234567890}`, "12345678901234567890"},
		{"a", `{"a":12345678901234567890.0}`, "12345678901234567890"},
		{"cast(a AS double)", `{"a":5.0}`, "5"},
		{"1 / 3", "", "0.3333333333333333"},
		{"a", `{"a":0.` + strings.Repeat("0", 5000) + `1}`, undefined},
		{"a", `{"a":1` + strings.Repeat("1", 5000) + `}`, undefined},
		{"a", `{"a":123456789012345678901234567890123449}`, "1.2345678901234568E35"},
	})
}

func TestNumbersIn2015KeepTheirDecimals(t *testing.T) {
	checkValues(t, "2015-10-08", []valueCase{
		{"a", `{"a":5.0}`, "5.0"},
		{"a", `{"a":36.903999599999999}`, "36.903999599999999"},
		{"a + 1", `{"a":5.0}`, "6.0"},
		{"a", `{"a":0.00}`, "0.00"},
		{"a", `{"a":1.50E3}`, "1.50E3"},
		{"a", `{"a":0.0000001}`, "1E-7"},
		{"1 / 3", "", "0." + strings.Repeat("3", 34)},
	})
}

func TestComparison(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"1 = 1.0", "", "true"},
		{"1 == 1", "", "true"},
		{"'a' = 'a'", "", "true"},
		{"'3' = 3", "", "false"},
		{"true = 'true'", "", "false"},
		{"NULL = NULL", "", "true"},
		{"NULL = 1", "", "false"},
		{"missing = 1", "", undefined},
		{"missing <> 1", "", undefined},
		{"1 <> '1'", "", "true"},
		{"1 != 2", "", "true"},
		{"NULL <> NULL", "", "false"},
		{"a = b", `{"a":[1,{"x":1,"y":2}],"b":[1.0,{"y":2,"x":1}]}`, "true"},
		{"a = b", `{"a":[1,2],"b":[2,1]}`, "false"},
		{"a = b", `{"a":{"x":1},"b":{"x":1,"y":2}}`, "false"},
		{"a = b", `{"a":{"x":1,"x":2},"b":{"x":2}}`, "true"},
		{"'5' > 3", "", "true"},
		{"'5' > '10'", "", "false"},
		{"'b' > 'a'", "", undefined},
		{"true > false", "", undefined},
		{"NULL < 1", "", undefined},
		{"2 <= 2", "", "true"},
		{"2 >= 2.1", "", "false"},
		{"3 > 2 = true", "", "true"},
		{"12345678901234567890.1 > 12345678901234567890", "", "true"},
	})
}

func TestLogic(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"true AND 'TRUE'", "", "true"},
		{"true and false or true", "", "true"},
		{"true OR true AND false", "", "true"},
		{"1 AND true", "", undefined},
		{"NOT 'false'", "", "true"},
		{"NOT 1", "", undefined},
		{"NOT NOT true", "", "true"},
		{"NOT 1 = 2", "", "true"},
		{"NOT missing", "", undefined},
		{"NOT true OR true", "", "true"},
	})
}

func TestMembershipAndPatterns(t *testing.T) {
	const payload = `{"a":[1,"x",null,[1]],"one":1,"s":"x"}`
	checkValues(t, "2016-03-23", []valueCase{
		{"one IN a", payload, "true"},
		{"'1' IN a", payload, "false"},
		{"NULL IN a", payload, "true"},
		{"[1] IN a", payload, "true"},
		{"missing IN a", payload, undefined},
		{"1 IN s", payload, undefined},
		{"1 IN missing", payload, undefined},
		{"1 IN [1, 2]", payload, "true"},
		{"1 IN (2, 1)", payload, "true"},
		{"1 IN (2)", payload, "false"},
		{"1 IN (a)", payload, "true"},
		{"1 IN (SELECT VALUE n FROM a AS n)", payload, "true"},
		{"1 NOT IN (2, 3)", payload, "true"},
		{"missing NOT IN (1)", payload, undefined},
		{"1 IN (1, missing)", payload, undefined},
		{"'online' LIKE 'on%'", "", "true"},
		{"'on' LIKE 'o_'", "", "true"},
		{"'one' LIKE 'o_'", "", "false"},
		{"'a.c' LIKE 'a.c'", "", "true"},
		{"'abcbc' LIKE '%bc'", "", "true"},
		{"'€x' LIKE '_x'", "", "true"},
		{"'' LIKE '%'", "", "true"},
		{"22 LIKE '2%'", "", "true"},
		{"'x' NOT LIKE 'y%'", "", "true"},
		{"missing LIKE '%'", "", undefined},
		{"2 BETWEEN 1 AND 2", "", "true"},
		{"'2' BETWEEN 1 AND 1.5", "", "false"},
		{"2 NOT BETWEEN 1 AND 2", "", "false"},
		{"'x' BETWEEN 1 AND 2", "", undefined},
		{"n IS NULL", `{"n":null}`, "true"},
		{"n IS NOT NULL", `{"n":1}`, "true"},
		{"n IS NULL", "", undefined},
		{"EXISTS (SELECT * FROM a AS x WHERE x = 1)", payload, "true"},
		{"EXISTS (SELECT * FROM a AS x WHERE x = 9)", payload, "false"},
		{"EXISTS (SELECT * FROM missing)", payload, undefined},
	})
}

func TestPaths(t *testing.T) {
	const payload = ` {"a":{"b":[{"c":1},{"c":2}]},"s":"text","dup":1,"k\u0065y":{"x":"\u00e9\ud83d\ude00\ud800"},"dup":2} `
	checkValues(t, both, []valueCase{
		{"a.b[1].c", payload, "2"},
		{"a.b[0]", payload, `{"c":1}`},
		{"a.b[2]", payload, undefined},
		{"a.b[-1]", payload, undefined},
		{"a.b['0']", payload, undefined},
		{"a.b.c", payload, undefined},
		{"a[0]", payload, undefined},
		{"s.x", payload, undefined},
		{"s[0]", payload, undefined},
		{"dup", payload, "2"},
		{"key.x", payload, "\"é😀\ufffd\""},
		{"*.a.b[0].c", payload, "1"},
		{"A", payload, undefined},
		{"*.from", `{"from":1}`, "1"},
		{"a", `[1]`, undefined},
		{"a", `not json`, undefined},
		{"a", "{\"a\":\"\xff\"}", undefined},
		{"a", `{"a":1}x`, undefined},
		{"a", "", undefined},
		{"a", strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600), undefined},
	})
}

func TestLiterals(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"'it''s'", "", `"it's"`},
		{`"say ""x"""`, "", `"say \"x\""`},
		{`'a\n'`, "", `"a\\n"`},
		{"'\t\x01'", "", `"\t\u0001"`},
		{"-2.411E2", "", "-241.1"},
		{"TRUE", "", "true"},
		{"Null", "", "null"},
		{"[1, 'a', [NULL]]", "", `[1,"a",[null]]`},
		{"[]", "", "[]"},
		{"{'a': 1, \"b\": {'c': x}, 'd': missing, 'a': 2}", `{"x":true}`, `{"a":2,"b":{"c":true}}`},
		{"{}", "", "{}"},
		{"CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", `{"a":2}`, `"two"`},
		{"CASE a WHEN '2' THEN 'no' ELSE 'other' END", `{"a":2}`, `"other"`},
		{"CASE a WHEN 1 THEN 'one' END", `{"a":2}`, undefined},
		{"CASE a WHEN 1 THEN 'one' ELSE 'other' END", "", undefined},
	})
}

func TestPassthrough(t *testing.T) {
	for _, payload := range []string{` {"a": 1.0}`, "not json", "", "\xff\x00"} {
		for _, sql := range []string{"SELECT * FROM 't'", "SELECT * FROM 't' WHERE topic(1) = 'site'", "SET @a = 1 SELECT * FROM 't'"} {
			got := evaluate(t, sql, "2016-03-23", payload)
			if !got.Fired || !got.Passthrough || string(got.Payload) != payload {
				t.Errorf("%s of %q gives %+v", sql, payload, got)
			}
		}
	}
	if got := evaluate(t, "SELECT VALUE * FROM 't'", "", "not json"); !got.Passthrough {
		t.Errorf("VALUE * of what is not JSON gives %+v", got)
	}
}

func TestTopLevelArraysNeed2016(t *testing.T) {
	if got := evaluate(t, "SELECT VALUE a FROM 't'", "2015-10-08", `{"a":[1]}`); !got.Undefined || len(got.Payload) != 0 {
		t.Errorf("in 2015-10-08: %+v", got)
	}
	if got := evaluate(t, "SELECT VALUE a FROM 't'", "beta", `{"a":[1]}`); string(got.Payload) != "[1]" {
		t.Errorf("in beta: %+v", got)
	}
}

func TestWhere(t *testing.T) {
	for _, c := range []struct {
		where, payload string
		fires          bool
	}{
		{"a", `{"a":true}`, true},
		{"a", `{"a":"TRUE"}`, true},
		{"a", `{"a":false}`, false},
		{"a", `{"a":1}`, false},
		{"a", `{"a":null}`, false},
		{"a", `{}`, false},
		{"a > 30", `{"a":30.5}`, true},
		{"a > 30", `not json`, false},
		{"b = 1", `{"a":1}`, false}, // aliases are not visible
	} {
		got := evaluate(t, "SELECT a AS b FROM 't' WHERE "+c.where, "", c.payload)
		if got.Fired != c.fires {
			t.Errorf("WHERE %s of %s fires: %t", c.where, c.payload, got.Fired)
		}
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct{ sql, payload, want string }{
		{"SET @c = (f - 32) * 5 / 9 SELECT @c AS c FROM 't'", `{"f":50}`, `{"c":10}`},
		{"SET @a = 50, @b = @a + 1 SELECT @b AS b FROM 't' WHERE t > @a", `{"t":60}`, `{"b":51}`},
		{"SET @o = s.d SELECT @o.x, @o.y[0] AS y FROM 't'", `{"s":{"d":{"x":1,"y":[2]}}}`, `{"x":1,"y":2}`},
		{"SET @k = 2 SELECT (SELECT VALUE n FROM e WHERE n = @k) AS r FROM 't'", `{"e":[{"n":1},{"n":2}]}`, `{"r":[2]}`},
		{"SET @u = missing SELECT @u AS u, 1 AS a FROM 't'", `{}`, `{"a":1}`},
	} {
		if got := evaluate(t, c.sql, "2016-03-23", c.payload); string(got.Payload) != c.want {
			t.Errorf("%s gives %s, want %s", c.sql, got.Payload, c.want)
		}
	}
}

// TestEvaluationEnds evaluates statements whose work or result would be out of
// proportion.
func TestEvaluationEnds(t *testing.T) {
	list := "[" + strings.Repeat("1,", 2000) + "1]"
	long := strings.Repeat("a", 60<<10)
	for _, c := range []struct{ name, sql, payload string }{
		{"rows of rows of rows", "SELECT (SELECT VALUE (SELECT VALUE (SELECT VALUE 1 FROM a) FROM a) FROM a) AS r FROM 't'", `{"a":` + list + `}`},
		{"membership in every row", "SELECT (SELECT VALUE x IN a FROM a AS x WHERE NOT 'z' IN a) AS r FROM 't'", `{"a":` + list + `}`},
		{"replacements of replacements", "SELECT replace(replace(replace(s, 'a', s), 'a', s), 'a', s) AS r FROM 't'", `{"s":"` + long + `"}`},
		{"values of SET beyond 128 KiB", "SET @a = s, @b = @a + @a, @c = @b + @b SELECT @c AS c FROM 't'", `{"s":"` + long + `"}`},
		{"results that share their parts", "SET @a = [s,s] SELECT [[@a,@a,@a,@a],[@a,@a,@a,@a],(SELECT VALUE ([s,s,s,s]) FROM b)] AS r FROM 't'", `{"s":"` + long + `","b":` + list + `}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.sql, "2016-03-23")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Eval(testEnv(c.payload)); !errors.Is(err, iot.ErrLimit) || got.Fired {
				t.Errorf("%v, %d bytes", err, len(got.Payload))
			}
			// The state goes back clean: the next message is judged on its own.
			if _, err := s.Eval(testEnv(`{}`)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStatementsAreConcurrent(t *testing.T) {
	s, err := Parse("SET @x = a * 2 SELECT *, (SELECT VALUE n + @x FROM e AS n) AS r FROM 't' WHERE a > 0", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	for range 4 {
		go func() {
			last := ""
			for range 200 {
				got, err := s.Eval(testEnv(`{"a":2,"e":[1,2]}`))
				if last = string(got.Payload); err != nil {
					last = err.Error()
				}
			}
			done <- last
		}()
	}
	for range 4 {
		if got := <-done; got != `{"a":2,"e":[1,2],"r":[5,6]}` {
			t.Error(got)
		}
	}
}

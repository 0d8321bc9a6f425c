package iotsql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	_ "time/tzdata"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestRegexpFunctions(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"regexp_matches('aaaa', 'a{2,}')", "", "true"},
		{"regexp_matches('aaaa', 'b')", "", "false"},
		{"regexp_matches(a, '^dev-[0-9]+$')", `{"a":"dev-42"}`, "true"},
		{"regexp_matches(a, '1.5')", `{"a":1.5}`, "true"},
		{"regexp_matches(a, '^\\{\"b\":true\\}$')", `{"a":{"b": true}}`, "true"},
		{"regexp_matches(true, 'true')", "", "true"},
		{"regexp_matches(12, 12)", "", "true"},
		{"regexp_matches('', '')", "", "true"},
		{"regexp_matches(NULL, '.*')", "", undefined},
		{"regexp_matches(missing, '.*')", "", undefined},
		{"regexp_matches('a', missing)", "", undefined},
		{"regexp_matches('a', '(')", "", undefined},
		{"regexp_matches('a', p)", `{"p":"("}`, undefined},
		{"regexp_matches('a')", "", undefined},
		{"regexp_matches('a', 'a', 'a')", "", undefined},
		{"regexp_matches(a, p)", `{"a":"hello","p":"(.)\\1"}`, "true"},
		{"regexp_replace('abcd', 'b(.*)d', '$1')", "", `"ac"`},
		{"regexp_replace('abcd', '(?<x>b)', '[${x}]')", "", `"a[b]cd"`},
		{"regexp_replace(1010, 0, 2)", "", `"1212"`},
		{"regexp_replace('abcd', 'b', '$1')", "", undefined},
		{"regexp_replace('abcd', 'x', '$1')", "", `"abcd"`},
		{"regexp_replace('abcd', '[', 'x')", "", undefined},
		{"regexp_replace('abcd', 'b', NULL)", "", undefined},
		{"regexp_replace('abcd', 'b')", "", undefined},
		{"regexp_substr('hihihello', '(hi)*')", "", `"hihi"`},
		{"regexp_substr('hello', 'x')", "", undefined},
		{"regexp_substr('hello', 'x*')", "", `""`},
	})
	checkValues(t, "2016-03-23", []valueCase{{"regexp_substr([1,2], '\\d,\\d')", "", `"1,2"`}})
}

func TestTimeFunctions(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{`parse_time("yyyy.MM.dd G 'at' HH:mm:ss z", 100000000, 'America/Belize')`, "", `"1970.01.01 AD at 21:46:40 CST"`},
		{"parse_time('yyyy-MM-dd HH:mm:ss.SSS', 1700000000123)", "", `"2023-11-14 22:13:20.123"`},
		{"parse_time('SSS', timestamp())", "", `"123"`},
		{"parse_time('HH', ms, z)", `{"ms":"0","z":"+05:30"}`, `"05"`},
		{"parse_time('SSS', 1.5)", "", `"002"`},
		{"parse_time(p, 0)", `{"p":"yyyy"}`, `"1970"`},
		{"parse_time('yyyy', -62135596800001)", "", `"0000"`},
		{"parse_time('yyyy', 0, 'Mars')", "", undefined},
		{"parse_time('yyyy', 0, missing)", "", undefined},
		{"parse_time('yyyy', 0, NULL)", "", undefined},
		{"parse_time('yyyyb', 0)", "", undefined},
		{"parse_time('yyyy', 'x')", "", undefined},
		{"parse_time('yyyy', true)", "", undefined},
		{"parse_time('yyyy', 1E30)", "", undefined},
		{"parse_time(missing, 0)", "", undefined},
		{"parse_time('yyyy')", "", undefined},
		{"time_to_epoch('18 December 2015', 'dd MMMM yyyy')", "", "1450396800000"},
		{"time_to_epoch(a, 'yyyyMMdd')", `{"a":20151218}`, "1450396800000"},
		{"time_to_epoch('2021-02-31', 'yyyy-MM-dd')", "", undefined},
		{"time_to_epoch('2021', 'yyyy')", "", undefined},
		{"time_to_epoch('2021', 'b')", "", undefined},
		{"time_to_epoch(missing, 'yyyy-MM-dd')", "", undefined},
		{"time_to_epoch('2021-02-03', missing)", "", undefined},
		{"time_to_epoch('2021-02-03')", "", undefined},
		{"time_to_epoch(parse_time('yyyy-MM-dd HH:mm', timestamp(), 'Asia/Tokyo'), 'yyyy-MM-dd HH:mm')", "", "1700032380000"},
	})
}

func TestPatternsThatAreNotSupportedAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		expr      string
		offset    int
		construct string
	}{
		{`regexp_matches(a, 'a\b{g}')`, 25, `\b{g} in a regular expression`},
		{`regexp_replace(a, '(?<=(a|ab))c', '')`, 25, "a capturing or atomic group in a look-behind of varying length in a regular expression"},
		{`time_to_epoch(a, 'YYYY-MM-dd')`, 24, "the letter Y (the year of a week; the year is y) in a time pattern"},
	} {
		_, err := Parse("SELECT "+c.expr+" FROM 't'", "2016-03-23")
		syn, ok := errors.AsType[*SyntaxError](err)
		if !ok || syn.Unsupported != c.construct || syn.Offset != c.offset || !errors.Is(err, iot.ErrUnsupported) {
			t.Errorf("%s: %v", c.expr, err)
		}
	}
	for _, payload := range []string{`{"p":"a\\b{g}"}`, `{"p":"(?c)"}`} { // known only when the message comes
		s, err := Parse("SELECT regexp_matches('a', p) AS r FROM 't'", "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Eval(testEnv(payload)); !errors.Is(err, iot.ErrUnsupported) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestARegularExpressionMadeToRunForEverFailsTheRule(t *testing.T) {
	payload := fmt.Sprintf(`{"a":%q,"p":"(a|aa)+$"}`, strings.Repeat("a", 100)+"!")
	for _, expr := range []string{
		"regexp_matches(a, '(a|aa)+$')", "regexp_substr(a, p)", "regexp_replace(a, p, '')", "CASE regexp_matches(a, p) WHEN true THEN 1 ELSE 2 END",
	} {
		s, err := Parse("SELECT "+expr+" AS r FROM 't'", "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Eval(testEnv(payload))
		if !errors.Is(err, iot.ErrLimit) || !strings.Contains(err.Error(), `the regular expression "(a|aa)+$" of regexp_`) ||
			!strings.Contains(err.Error(), "() ran for more than 100ms") {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestPatternsOfMessagesTakeSteps(t *testing.T) {
	// Each row has a pattern of its own, so that none is remembered.
	rows := make([]string, 400)
	for i := range rows {
		rows[i] = fmt.Sprintf("%q", strings.Repeat("a", 200)+fmt.Sprint(i))
	}
	s, err := Parse("SELECT (SELECT VALUE regexp_matches('b', p) FROM l AS p) AS r FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Eval(testEnv(`{"l":[` + strings.Join(rows, ",") + `]}`)); !errors.Is(err, iot.ErrLimit) {
		t.Error(err)
	}
}

func TestAReplacementTakesSteps(t *testing.T) {
	s, err := Parse("SELECT regexp_replace(a, '', a) AS r FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	payload := fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", 10_000))
	if _, err := s.Eval(testEnv(payload)); !errors.Is(err, iot.ErrLimit) {
		t.Error(err)
	}
}

func TestMemoRemembersTheLastTexts(t *testing.T) {
	count := make(map[string]int)
	m := newMemo(func(s string) (string, error) {
		count[s]++
		if s == "bad" {
			return "", errors.New("bad")
		}
		return s + s, nil
	})
	st := &state{program: &program{}, left: budget}
	get := func(text string) {
		if v, err := m.of(st, text); err == nil && v != text+text || (err != nil) != (text == "bad") {
			t.Errorf("%s: %s, %v", text, v, err)
		}
	}
	for range 2 {
		get("a")
		get("bad")
	}
	if count["a"] != 1 || count["bad"] != 1 {
		t.Errorf("made again: %v", count)
	}
	for i := range maxKept {
		get(fmt.Sprint(i))
	}
	if get("a"); count["a"] != 2 {
		t.Errorf("not forgotten: %v", count)
	}
	long := strings.Repeat("x", maxKeptText+1)
	get(long)
	if get(long); count[long] != 2 {
		t.Error("a long text is remembered")
	}
}

package iotsql

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestSyntaxErrors(t *testing.T) {
	long := "SELECT " + strings.Repeat("(", 200) + "1"
	for _, c := range []struct {
		sql    string
		offset int
		want   string
	}{
		{"", 0, `expected SELECT, found the end`},
		{"SELEC *", 0, `expected SELECT, found "SELEC"`},
		{"FROM 't/x'", 0, `expected SELECT, found "FROM"`},
		{"SELECT FROM 't'", 7, `expected an expression, found "FROM"`},
		{"SELECT a b FROM 't'", 9, `expected FROM, WHERE or the end of the statement, found "b"`},
		{"SELECT * FROM 't' GROUP BY x", 18, `expected WHERE or the end of the statement, found "GROUP" (there is no such clause)`},
		{"SELECT * FROM 'a' WHERE b = 'on')", 32, `expected the end of the statement, found ")"`},
		{"SELECT * FROM 'a' WHERE NOT", 27, `expected an expression, found the end`},
		{"SELECT (1 + 2 FROM 't'", 14, `expected ")", found "FROM"`},
		{"SELECT 'abc FROM 't'", 18, `the end of the statement, found "t"`},
		{"SELECT 'abc FROM t", 7, "expected a closing quote"},
		{"SELECT a FROM", 13, "expected a topic filter in quotes, found the end"},
		{"SELECT a FROM 'a/b+'", 14, "expected a topic filter"},
		{"SELECT a FROM ''", 14, "expected a topic filter"},
		{"SELECT a AS FROM 't'", 17, "expected FROM, WHERE or the end of the statement, found the string 't'"},
		{"SELECT a AS 1 FROM 't'", 12, `expected a name of letters, digits and _, found "1"`},
		{"SELECT 12abc FROM 't'", 7, "expected a number, or a name"},
		{"SELECT 1E2000 FROM 't'", 7, "expected a number between 1E-999 and 1E1000"},
		{"SELECT a # b", 9, `found "#"`},
		{"SELECT @ FROM 't'", 7, "expected a variable's name after @"},
		{"SELECT nosuchfn(1) FROM 't'", 7, `expected a function of IoT SQL, found "nosuchfn"`},
		{"SELECT abs(1 FROM 't'", 13, `expected "," or ")", found "FROM"`},
		{"SELECT cast(a AS blob) FROM 't'", 17, `expected one of String`},
		{"SELECT cast(a) FROM 't'", 13, `expected AS`},
		{"SELECT a[1 FROM 't'", 11, `expected "]"`},
		{"SELECT {a: 1} FROM 't'", 8, "expected a key in quotes"},
		{"SELECT {'a' 1} FROM 't'", 12, `expected ":"`},
		{"SELECT a NOT b FROM 't'", 13, "expected IN, LIKE or BETWEEN"},
		{"SELECT a IN () FROM 't'", 15, "expected a value to look for"},
		{"SELECT a BETWEEN 1 OR 2 FROM 't'", 19, "expected AND"},
		{"SELECT a IS 1 FROM 't'", 12, "expected NULL"},
		{"SELECT EXISTS (a) FROM 't'", 15, "expected SELECT"},
		{"SELECT CASE a ELSE 1 END FROM 't'", 14, "expected WHEN"},
		{"SELECT CASE a WHEN 1 THEN 2 FROM 't'", 28, "expected WHEN, ELSE or END"},
		{"SELECT (SELECT a) FROM 't'", 16, "expected FROM"},
		{"SELECT @x FROM 't'", 7, `expected a variable that SET has assigned before, found "@x"`},
		{"SET @a = @a SELECT 1", 9, "expected a variable that SET has assigned before"},
		{"SET @a = 1, @a = 2 SELECT 1", 12, "expected a variable that is not set yet, found @a"},
		{"SET @a 1 SELECT 1", 7, `expected "="`},
		{"SET a = 1 SELECT 1", 4, "expected a variable such as @name"},
		{"SET @é = 1 SELECT 1", 4, "expected a variable such as @name"},
		{"SET @" + strings.Repeat("x", 65) + " = 1 SELECT 1", 4, "expected a variable such as @name"},
		{"SET @a=1,@b=1,@c=1,@d=1,@e=1,@f=1,@g=1,@h=1,@i=1,@j=1,@k=1 SELECT 1", 54, "expected at most 10 variables"},
		{"SELECT a && b", 9, `found "&" (write AND)`},
		{"SELECT a FROM 't' WHERE !b", 24, `expected an expression, found "!" (write NOT)`},
		{"SELECT a FROM 't' WHERE b = “on”", 28, `found "“" (write ' or " for a string)`},
		{"SELECT a FROM 't';", 17, `expected WHERE or the end of the statement, found ";" (statements have no end mark)`},
		{"SELECT * WHERE a FROM 't'", 17, `expected the end of the statement, found "FROM"`},
		{"SELECT Uper(a)", 7, `expected a function of IoT SQL, such as upper(), found "Uper"`},
		{"SELECT len(a)", 7, "such as length()"},
		{"SELECT cast(a, 'Int')", 13, "expected AS and a type, such as cast(x AS Int)"},
		{"SELECT CASE WHEN a THEN b END", 12, "expected a value to compare, as in CASE x WHEN 1 THEN …"},
		{"SET @x = 1 SET @y = 2 SELECT @x", 11, `expected "," or SELECT, found "SET"`},
		{"SELECT a.'b c'", 9, "expected a name of letters, digits and _, found the string 'b c'"},
		{"SELECT $a", 7, `found "$" (variables begin with @)`},
		{"SELECT a " + strings.Repeat("x", 50), 9, "xxx\"…"},
		{long, 107, "expected at most 100 levels of nesting"},
		{"SELECT " + strings.Repeat("-", 200) + "1", 106, "expected at most 100 levels of nesting"},
		{"SELECT '" + strings.Repeat("x", maxText) + "'", maxText, "expected at most 65536 bytes"},
	} {
		_, err := Parse(c.sql, "2016-03-23")
		syn, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%.80s: %v", c.sql, err)
			continue
		}
		if syn.Offset != c.offset || !strings.Contains(syn.Error(), c.want) || !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%.80s: %v; want at %d: %s", c.sql, err, c.offset, c.want)
		}
	}
}

func TestConstructsOf2016AreRefusedIn2015(t *testing.T) {
	for _, expr := range []string{
		"[1]", "{'a': 1}", "(SELECT a FROM b)", "encode(a, 'base64')", "decode(a, 'base64')", "indexof(a, 'b')",
		"isUndefined(a)", "length(a)", "numbytes(a)", "transform('enrichArray', a, b)", "sourceip()",
		"cast(a AS Decimal)", "cast(a AS Bool)", "cast(a AS Boolean)",
	} {
		sql := "SELECT " + expr + " AS r FROM 't'"
		_, err := Parse(sql, "2015-10-08")
		if err == nil || !strings.Contains(err.Error(), "expected SQL version 2016-03-23") {
			t.Errorf("%s: %v", sql, err)
		}
		if _, err := Parse(sql, "2016-03-23"); err != nil {
			t.Error(err)
		}
	}
}

func TestUnsupportedFunctionsAreRefusedByName(t *testing.T) {
	for _, name := range []string{
		"get_thing_shadow", "get_secret", "machinelearning_predict", "Get_Secret",
	} {
		_, err := Parse("SELECT a, "+name+"('x', b) AS r FROM 't'", "2016-03-23")
		syn, ok := errors.AsType[*SyntaxError](err)
		if !ok || syn.Offset != 10 || syn.Unsupported != strings.ToLower(name)+"()" || !errors.Is(err, iot.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Parse("SELECT decode(a, 'proto', 'b', 'c', 'd', 'e') FROM 't'", "2016-03-23")
	if !errors.Is(err, iot.ErrUnsupported) {
		t.Errorf("decode of protobuf: %v", err)
	}
}

func TestVersions(t *testing.T) {
	for _, version := range []string{"2015-10-9", "2016", "BETA"} {
		if _, err := Parse("SELECT * FROM 't'", version); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", version, err)
		}
		if _, err := ParseTemplate("x", version); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestFilter(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT * FROM 'a/+/#'":                   "a/+/#",
		`SELECT * FROM "a b" WHERE x`:             "a b",
		"SELECT * FROM iot/+/x WHERE a = 1":       "iot/+/x",
		"select * from '$aws/things/+/shadow/#' ": "$aws/things/+/shadow/#",
		"SELECT a WHERE b":                        "",
	} {
		s, err := Parse(sql, "")
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Filter() != want {
			t.Errorf("%s: %q", sql, s.Filter())
		}
	}
}

func TestPrinting(t *testing.T) {
	for sql, want := range map[string]string{
		"select  a+b*c as x from t where not(a=1)and b<>2": "SELECT a + b * c AS x FROM 't' WHERE NOT a = 1 AND b <> 2",
		"SELECT (a+b)*c, a-(b-c), (a-b)-c":                 "SELECT (a + b) * c, a - (b - c), a - b - c",
		"SELECT (a OR b) AND c, NOT (a AND b), (NOT a)=b":  "SELECT (a OR b) AND c, NOT (a AND b), (NOT a) = b",
		`SELECT "it's", 'say "x"', -(-a), (-a).b`:          "SELECT 'it''s', 'say \"x\"', --a, (-a).b",
		"SELECT VALUE (value)":                             "SELECT VALUE value",
		"SELECT (value), (value) * 2, (value)-1":           "SELECT value, value * 2, value - 1",
		"SELECT VALUE ([1])":                               "SELECT VALUE ([1])",
		"SELECT isnull(select value a from b as c)":        "SELECT isnull((SELECT VALUE a FROM b AS c))",
		"SELECT a FROM 't' WHERE exists(select * from b)":  "SELECT a FROM 't' WHERE EXISTS (SELECT * FROM b)",
	} {
		s, err := Parse(sql, "2016-03-23")
		if err != nil {
			t.Error(err)
			continue
		}
		if got := s.String(); got != want {
			t.Errorf("%s prints as %s, want %s", sql, got, want)
		}
	}
	for _, sql := range seeds() {
		s, err := Parse(sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(s.String(), "2016-03-23")
		if err != nil || again.String() != s.String() {
			t.Errorf("%s prints as %s, and that as %v, %v", sql, s, again, err)
		}
	}
}

func TestCaret(t *testing.T) {
	_, err := Parse("SELECT a\nFROM 't'\n\tGROUP BY b", "")
	syn, ok := errors.AsType[*SyntaxError](err)
	if want := "\tGROUP BY b\n\t^"; !ok || syn.Caret() != want {
		t.Errorf("%v: %q, want %q", err, syn.Caret(), want)
	}
}

func TestCaretInALongLine(t *testing.T) {
	_, err := Parse("SELECT "+strings.Repeat("é, ", 100)+"b c, "+strings.Repeat("d, ", 100)+"e FROM 't'", "")
	syn, ok := errors.AsType[*SyntaxError](err)
	if !ok {
		t.Fatal(err)
	}
	line, mark, _ := strings.Cut(syn.Caret(), "\n")
	runes, at := []rune(line), len([]rune(mark))-1
	if len(line) > 200 || runes[at] != 'c' || runes[0] != '…' || runes[len(runes)-1] != '…' {
		t.Errorf("%v\n%s\n%s", err, line, mark)
	}
}

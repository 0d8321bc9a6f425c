package iotsql

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// megabyte is a payload of about a megabyte: an array of so many elements like it.
func megabyte(element string) string {
	return `{"l":[` + strings.Repeat(element+",", 1<<20/(len(element)+1)) + element + `]}`
}

// distinct is an object of about a megabyte whose keys are all different.
func distinct() string {
	var b strings.Builder
	for i := 0; b.Len() < 1<<20; i++ {
		fmt.Fprintf(&b, `"%x":1,`, i)
	}
	return `{"o":{` + b.String() + `"a":1},"l":[` + strings.Repeat("1,", 1000) + `1]}`
}

// abuses are statements and payloads that are made to need much time or memory.
func abuses() []struct{ name, sql, payload string } {
	ones, objects, texts := megabyte("1"), megabyte(`{"a":1}`), megabyte(`"x"`)
	long := `{"s":"` + strings.Repeat("x", 400<<10) + `","r":"` + strings.Repeat("x", 400<<10) + `","l":[` + strings.Repeat("1,", 100<<10) + `1]}`
	digits := strings.ReplaceAll(long, "x", "1")
	quoted := `{"s":"` + strings.Repeat(`\u0001`, 170<<10) + `"}`
	deep := `{"l":` + strings.Repeat(`{"b":1,"b":[`, 250) + strings.Repeat("1,", 500<<10) + "1" + strings.Repeat("]}", 250) + `}`
	binary := strings.Repeat("\xff", 1<<20)
	each := func(expr string, sep string) string { // as many as a statement has room for
		return strings.Repeat(expr+sep, 60<<10/len(expr+sep)) + expr
	}
	var keys, aliases strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&keys, "'%x':1,", i)
		fmt.Fprintf(&aliases, "l AS a%x,", i)
	}
	return []struct{ name, sql, payload string }{
		{"an array is taken apart", "SELECT l = l AS r", ones},
		{"an array of objects is taken apart", "SELECT l = l AS r", objects},
		{"an object is taken apart", "SELECT o = o AS r", distinct()},
		{"an object of many keys is copied for another", "SELECT o AS p.q, 1 AS p.r, 2 AS p.s, *", distinct()},
		{"an array is enriched", "SELECT VALUE transform('enrichArray', {'k': 1, 'j': 2}, l)", objects},
		{"an array is enriched with many", "SELECT VALUE transform('enrichArray', o, [{'k': 1}])", distinct()},
		{"arrays are joined", "SELECT concat(" + each("l", ",") + ") AS r", `{"l":[` + strings.Repeat("1,", 9000) + `1]}`},
		{"a variable's array is joined", "SET @l = l SELECT concat(" + each("@l", ",") + ") AS r", `{"l":[` + strings.Repeat("1,", 9000) + `1]}`},
		{"texts are joined", "SELECT concat(" + each("s", ",") + ") AS r", long},
		{"texts are added", "SELECT " + each("s", "+") + " AS r", long},
		{"texts are doubled", "SET @a=s+s,@b=@a+@a,@c=@b+@b,@d=@c+@c,@e=@d+@d,@f=@e+@e,@g=@f+@f,@h=@g+@g SELECT @h+@h+@h+@h", long},
		{"texts are doubled beside SELECT", "SELECT concat(concat(concat(concat(s,s,s,s),concat(s,s,s,s)),concat(s,s)),concat(s,s)) AS r", long},
		{"texts are padded", "SELECT (SELECT VALUE rpad(x, 1000) FROM l AS x) AS r", ones},
		{"texts are padded but not kept", "SELECT (SELECT VALUE length(rpad(x, 1000)) FROM l AS x) AS r", ones},
		{"a text grows by replacing", "SELECT replace(replace(s, 'x', 'xxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxx') AS r", long},
		{"a text grows by replacing nothing", "SELECT replace(s, '', r) AS r", long},
		{"a text grows by its escapes", "SELECT concat(" + each("s", ",") + ") AS r", quoted},
		{"a text is compared in each row", "SELECT (SELECT VALUE 1 FROM l WHERE s = r) AS r", long},
		{"a text is looked for in each row", "SELECT (SELECT VALUE 1 FROM l WHERE startswith(s, r) AND endswith(s, r)) AS r", long},
		{"a text is read as a number in each row", "SELECT (SELECT VALUE 1 FROM l WHERE s > 1) AS r", digits},
		{"a text is matched in each row", "SELECT (SELECT VALUE 1 FROM l WHERE s LIKE '%x%y') AS r", long},
		{"rows over rows", "SELECT (SELECT (SELECT VALUE 1 FROM l) AS q FROM l) AS r", ones},
		{"rows over rows, unwritten", "SELECT length((SELECT (SELECT VALUE 1 FROM l) AS q FROM l)) AS r", ones},
		{"rows that are kept", "SELECT length((SELECT VALUE 1 FROM l)) AS r", ones},
		{"rows of objects that are kept", "SELECT length((SELECT *, 1 AS b FROM l)) AS r", objects},
		{"rows of arrays", "SELECT (SELECT VALUE [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] FROM l) AS r", ones},
		{"rows of arrays that are kept", "SELECT length((SELECT VALUE [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] FROM l)) AS r", ones},
		{"rows with a long name", "SELECT (SELECT 1 AS " + strings.Repeat("x", 60<<10) + " FROM l) AS r", ones},
		{"rows with a long name and all else", "SELECT (SELECT *, 1 AS " + strings.Repeat("x", 60<<10) + " FROM l) AS r", objects},
		{"rows of a large literal", "SELECT (SELECT VALUE {" + keys.String() + "'a':1} FROM l) AS r", ones},
		{"a large literal", "SELECT {" + keys.String() + "'a':1} AS r", "{}"},
		{"a member of a large literal in each row", "SET @o = {" + keys.String() + "'a':1} SELECT (SELECT VALUE @o.zz FROM l) AS r", ones},
		{"a document over and over", "SELECT " + aliases.String() + " 1 AS z", ones},
		{"a document over and over, nested", "SELECT * AS a.b, " + aliases.String() + " 1 AS z", ones},
		{"a deep document with keys that are there twice", "SELECT l, 1 AS a.b, l AS a.c", deep},
		{"a binary payload over and over", "SELECT " + each("isNull(*)", " OR ") + " AS r", binary},
		{"a binary payload is encoded over and over", "SELECT concat(" + each("encode(*,'base64')", ",") + ") AS r", binary},
		{"hashes", "SELECT (SELECT VALUE md2(s) + sha512(s) FROM l) AS r", long},
		{"a list of texts is searched", "SELECT (SELECT VALUE x IN l FROM l AS x) AS r", texts},
		{"EXISTS in each row", "SELECT (SELECT VALUE EXISTS (SELECT * FROM l AS y WHERE y = x AND y > 1) FROM l AS x) AS r", ones},
		{"numbers of many digits", "SELECT (SELECT VALUE x * x FROM l AS x) AS r", megabyte("1234567890123456789012345678901234")},
		{"sums of numbers far apart", "SELECT (SELECT VALUE x + 1E-999 + 1 FROM l AS x) AS r", megabyte("9E999")},
		{"remainders of numbers far apart", "SELECT (SELECT VALUE x % 7 FROM l AS x) AS r", megabyte("9E999")},
		{"remainders of small numbers", "SELECT (SELECT VALUE x % 7 FROM l AS x) AS r", megabyte("9E-990")},
		{"small numbers are rounded", "SELECT (SELECT VALUE floor(x) + ceil(x) + round(x) FROM l AS x) AS r", megabyte("9E-990")},
		{"small numbers are cut off", "SELECT (SELECT VALUE trunc(x, 34) FROM l AS x) AS r", megabyte("9E-990")},
		{"numbers far apart are compared", "SELECT (SELECT VALUE x > 1E-990 FROM l AS x) AS r", megabyte("9E999")},
		{"numbers far apart are divided and multiplied", "SELECT (SELECT VALUE x / 7 * 1E990 FROM l AS x) AS r", megabyte("9E-990")},
		{"functions of doubles", "SELECT (SELECT VALUE power(x, x) + sin(x) FROM l AS x) AS r", megabyte("9E-990")},
		{"large numbers are written", "SELECT (SELECT VALUE 'x' + x FROM l AS x) AS r", megabyte("9E999")},
		{"bits of large numbers", "SELECT (SELECT VALUE bitand(x, x) FROM l AS x) AS r", megabyte("1234567890123456789012345678901234")},
		{"get_or_default over rows", "SELECT get_or_default((SELECT VALUE [x, x] FROM l AS x), 1) AS r", ones},
	}
}

// TestEvaluationIsBounded holds the promise of a budget: whatever a statement and a
// message of a megabyte ask for, an evaluation ends, and the memory that it takes in
// all, garbage included, is a small multiple of the message.
func TestEvaluationIsBounded(t *testing.T) {
	const most = 64 << 20
	for _, c := range abuses() {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.sql, "2016-03-23")
			if err != nil {
				t.Fatal(err)
			}
			checkMemory(t, most, func() error {
				_, err := s.Eval(messageOf(c.payload))
				return err
			})
		})
	}
}

// TestExplanationIsBounded is the same for explanations, which show up to 256 values.
func TestExplanationIsBounded(t *testing.T) {
	shown := "l = l"
	for range 6 {
		shown = "(" + shown + " OR " + shown + ")"
	}
	for _, c := range []struct{ sql, payload string }{
		{"SELECT 1 AS x WHERE " + shown, megabyte("1")},
		{"SELECT 1 AS x WHERE " + shown, `{"l":[1,2]}` + strings.Repeat(" ", 1<<20)},
		{"SELECT 1 AS x WHERE " + strings.ReplaceAll(shown, "l = l", "l"), megabyte(`{"a":1,"a":1}`)},
		{"SELECT 1 AS x WHERE " + strings.ReplaceAll(shown, "l = l", "isNull(l)"), megabyte(`"x"`)},
		{"SELECT 1 AS x WHERE " + strings.ReplaceAll(shown, "l = l", "isNull(l)"), `{"l":["` + strings.Repeat("x", 1000<<10) + `"]}`},
		{"SELECT 1 AS x WHERE " + strings.ReplaceAll(shown, "l = l", "isNull(s)"), `{"s":"` + strings.Repeat("x", 1000<<10) + `"}`},
		{"SELECT 1 AS x WHERE " + strings.ReplaceAll(shown, "l = l", "isNull(*)"), strings.Repeat("x", 100<<10)},
	} {
		s, err := Parse(c.sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		checkMemory(t, 64<<20, func() error {
			_, err := s.Explain(messageOf(c.payload))
			return err
		})
	}
}

// TestExpansionIsBounded is the same for templates.
func TestExpansionIsBounded(t *testing.T) {
	payload := `{"s":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, text := range []string{"${s}", "${*}", "${s + s}", "${encode(*, 'base64')}"} {
		tmpl, err := ParseTemplate(strings.Repeat(text, maxText/len(text)), "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		checkMemory(t, 64<<20, func() error {
			_, err := tmpl.Expand(messageOf(payload))
			return err
		})
	}
}

func messageOf(payload string) *Env {
	return &Env{Message: &iot.Message{Topic: "t", Payload: []byte(payload)}}
}

// checkMemory runs f, which may fail for a limit only, and bounds what it allocates,
// in bytes.
func checkMemory(t *testing.T, most uint64, f func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if err != nil && !errors.Is(err, iot.ErrLimit) {
		t.Error(err)
	}
	taken := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d ms, %d KB, %v", took.Milliseconds(), taken>>10, err)
	if taken > most {
		t.Errorf("takes %d MB, of at most %d", taken>>20, most>>20)
	}
}

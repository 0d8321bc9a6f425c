package iotsql

import (
	"flag"
	"os"
	"strings"
	"testing"
)

// update rewrites the golden file. What changes in it changes the language: compare
// it with the specification's sections 3, 4 and 11.
var update = flag.Bool("update", false, "rewrite testdata/matrix.txt")

// matrixPayload has a field of every kind, and of each kind of String that converts;
// missing is Undefined.
const matrixPayload = `{"int":7,"neg":-2.5,"big":12345678901234567890,"bool":true,"text":"x","num":"12.7","exp":"1E2",` +
	`"pad":" 1","yes":"TRUE","no":"false","arr":[1],"obj":{"k":1},"null_":null,"empty":""}`

var matrixFields = []string{"int", "neg", "big", "bool", "text", "num", "exp", "pad", "yes", "no", "empty", "arr", "obj", "null_", "missing"}

// matrixExpressions are those with one operand of every kind, where ? stands.
var matrixExpressions = []string{
	"-?", "NOT ?", "? IS NULL", "? BETWEEN 1 AND 10", "1 BETWEEN ? AND 10", "?.k", "?[0]", "[5,6][?]", "CASE ? WHEN 7 THEN 1 WHEN NULL THEN 2 ELSE 3 END",
	"[?]", "{'p': ?}", "(SELECT VALUE * FROM ?)", "EXISTS(SELECT * FROM ?)",
	"cast(? AS String)", "cast(? AS Int)", "cast(? AS Double)", "cast(? AS Decimal)", "cast(? AS Boolean)",
	"abs(?)", "ceil(?)", "floor(?)", "round(?)", "sign(?)", "trunc(?, 1)", "trunc(2.888, ?)", "mod(?, 2)", "mod(20, ?)", "remainder(?, 2)",
	"power(?, 2)", "power(2, ?)", "atan2(?, 1)", "atan2(0, ?)", "bitand(?, 3)", "bitor(3, ?)", "bitxor(?, 3)", "bitnot(?)",
	"acos(?)", "asin(?)", "atan(?)", "cos(?)", "cosh(?)", "exp(?)", "ln(?)", "log(?)", "sin(?)", "sinh(?)", "sqrt(?)", "tan(?)", "tanh(?)",
	"nanvl(?, 0)", "nanvl(missing, ?)",
	"concat(?)", "concat(?, '-')", "concat(?, 1)", "concat(?, arr)", "lower(?)", "upper(?)", "trim(?)", "ltrim(?)", "rtrim(?)", "length(?)", "numbytes(?)",
	"substring(?, 1)", "substring('abcdefghijklmno', ?)", "substring('abcdefghijklmno', 0, ?)", "indexof(?, 'x')", "indexof('axTRUE', ?)",
	"replace(?, 'x', 'y')", "replace('x', ?, 'y')", "replace('x', 'x', ?)", "lpad(?, 1)", "length(lpad('', ?))", "length(rpad('', ?))",
	"startswith(?, 'x')", "startswith('x', ?)", "endswith(?, 'x')", "endswith('x', ?)", "chr(?)",
	"md5(?)", "encode(?, 'base64')", "encode('x', ?)", "decode(?, 'base64')", "decode('eA==', ?)",
	"get(?, 0)", "get(?, 'k')", "get([5, 6, 7], ?)", "get('abcdefghijklmno', ?)", "get({'x': 1}, ?)", "get_or_default(?, 0)", "get_or_default(missing, ?)",
	"isNull(?)", "isUndefined(?)", "transform('enrichArray', ?, [{}])", "transform('enrichArray', {'q': 1}, ?)", "transform(?, {'q': 1}, [{}])",
	"topic(?)", "get_mqtt_property(?)", "get_user_properties(?)",
}

// matrixOperators are those with two operands of every kind.
var matrixOperators = []string{"+", "-", "*", "/", "%", "<", "<=", ">", ">=", "=", "<>", "AND", "OR", "IN", "LIKE"}

// cell is the value of an expression: a point is Undefined, and ! a construct that
// the version refuses.
func cell(t *testing.T, expr, version string) string {
	s, err := Parse("SELECT VALUE ("+expr+") FROM 't'", version)
	if err != nil {
		return "!"
	}
	got, err := s.Eval(testEnv(matrixPayload))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	if got.Undefined {
		return "·"
	}
	return string(got.Payload)
}

// matrixRow is an expression with each kind of operand in turn.
func matrixRow(t *testing.T, expr, version string) string {
	var b strings.Builder
	b.WriteString(expr)
	for _, field := range matrixFields {
		b.WriteString(" | " + cell(t, strings.ReplaceAll(expr, "?", field), version))
	}
	return b.String()
}

// TestMatrix evaluates every operator and every function on operands of every kind
// and compares with testdata/matrix.txt; for 2015-10-08 that has only the rows which
// differ.
func TestMatrix(t *testing.T) {
	exprs := append([]string(nil), matrixExpressions...)
	for _, op := range matrixOperators {
		for _, left := range matrixFields {
			exprs = append(exprs, left+" "+op+" ?")
		}
	}
	lines := []string{"2016-03-23 | " + strings.Join(matrixFields, " | ")}
	for _, expr := range exprs {
		lines = append(lines, matrixRow(t, expr, "2016-03-23"))
	}
	lines = append(lines, "", "2015-10-08 | "+strings.Join(matrixFields, " | "))
	for _, expr := range exprs {
		row := matrixRow(t, expr, "2015-10-08")
		if row != matrixRow(t, expr, "2016-03-23") && strings.Count(row, " | !") < len(matrixFields) {
			lines = append(lines, row)
		}
	}
	const name = "testdata/matrix.txt"
	if *update {
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d lines, %s has %d", len(lines), name, len(want))
	}
	for i := range min(len(lines), len(want)) {
		if lines[i] != want[i] {
			t.Errorf("line %d of %s:\n%s\nis now\n%s", i+1, name, want[i], lines[i])
		}
	}
}

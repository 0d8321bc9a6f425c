package iotsql

import (
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// TestDecisions has a case for each thing that AWS's documents leave open, as
// compat.go decides it.
func TestDecisions(t *testing.T) {
	for _, c := range []struct{ name, sql, payload, want string }{
		{"a dotted path is named for its last part", "SELECT a.b.c FROM 't'", `{"a":{"b":{"c":1}}}`, `{"c":1}`},
		{"an index is named for its text", "SELECT a[0] FROM 't'", `{"a":[1]}`, `{"a[0]":1}`},
		{"a variable is named for its text", "SET @v = 1 SELECT @v FROM 't'", `{}`, `{"@v":1}`},
		{"Undefined OR true is Undefined", "SELECT missing OR true AS r FROM 't'", `{}`, `{}`},
		{"false AND Undefined is Undefined", "SELECT false AND missing AS r FROM 't'", `{}`, `{}`},
		{"get_or_default rescues", "SELECT get_or_default(missing, false) OR true AS r FROM 't'", `{}`, `{"r":true}`},
		{"a quotient of Ints may be a Decimal", "SELECT 7 / 2 AS r FROM 't'", `{}`, `{"r":3.5}`},
		{"bitnot is the two's complement", "SELECT bitnot(13) AS r FROM 't'", `{}`, `{"r":-14}`},
		{"bitnot of what is no number", "SELECT bitnot('x') AS r FROM 't'", `{}`, `{}`},
		{"concat of one number is a String", "SELECT concat(1) AS r FROM 't'", `{}`, `{"r":"1"}`},
		{"concat of one array is the array", "SELECT concat([1]) AS r FROM 't'", `{}`, `{"r":[1]}`},
		{"division by zero is Undefined", "SELECT 1 / 0 AS r, 1 % 0 AS s FROM 't'", `{}`, `{}`},
		{"a text payload in an object is a String", "SELECT * AS r FROM 't'", `Bob`, `{"r":"Bob"}`},
		{"a binary payload in an object is base64", "SELECT * AS r FROM 't'", "\xff\x00", `{"r":"/wA="}`},
		{"a payload that is not JSON has no members", "SELECT *, 1 AS r FROM 't'", "Bob", `{"r":1}`},
		{"JSON that is not UTF-8 is not JSON", "SELECT a AS r FROM 't'", "{\"a\":\"\xe9\"}", `{}`},
		{"a nested SELECT from an object is one row", "SELECT (SELECT a FROM o) AS r FROM 't'", `{"o":{"a":1}}`, `{"r":[{"a":1}]}`},
		{"which has no members of its own", "SELECT (SELECT a FROM o).a AS r FROM 't'", `{"o":{"a":1}}`, `{}`},
		{"and is an Object where one is wanted", "SELECT transform('enrichArray', (SELECT a FROM o), l) AS r FROM 't'", `{"o":{"a":1},"l":[{}]}`, `{"r":[{"a":1}]}`},
		{"names of an element come before those around it", "SELECT (SELECT VALUE a FROM l) AS r FROM 't'", `{"a":0,"l":[{"a":1},{}]}`, `{"r":[1,0]}`},
		{"an alias comes before the element's names", "SELECT (SELECT VALUE a.b FROM l AS a) AS r FROM 't'", `{"l":[{"a":1,"b":2}]}`, `{"r":[2]}`},
		{"extensions are taken", "SELECT a LIKE 'x%' AS l, 1 BETWEEN 0 AND 2 AS b, 1 IN (1) AS i, a IS NULL AS n, a == 'xy' AS e FROM 't'", `{"a":"xy"}`, `{"l":true,"b":true,"i":true,"n":false,"e":true}`},
		{"an array with an Undefined element is Undefined", "SELECT [1, missing] AS r FROM 't'", `{}`, `{}`},
		{"concat of arrays with an Undefined element is Undefined", "SELECT concat([1], missing) AS r FROM 't'", `{}`, `{}`},
		{"concat of one value of another kind is the value", "SELECT concat(NULL) AS n, concat(o) AS o FROM 't'", `{"o":{"a":1}}`, `{"n":null,"o":{"a":1}}`},
		{"user properties of a message without any", "SELECT get_user_properties() AS r, get_user_properties('k') AS s FROM 't'", `{}`, `{}`},
		{"a result below the range is zero", "SELECT 1E-999 / 10 AS r, a AS s FROM 't'", `{"a":1E-1001}`, `{"r":0}`},
		{"an index is rounded to the nearest", "SELECT a[0.6] AS r, get(a, 0.4) AS s, topic(1.5) AS t FROM 't'", `{"a":[1,2]}`, `{"r":2,"s":1,"t":"7"}`},
		{"value before a minus is a field by its spaces", "SELECT value - a AS r, value-a AS s FROM 't'", `{"value":3,"a":1}`, `{"r":2,"s":2}`},
		{"or the keyword", "SELECT VALUE -a FROM 't'", `{"value":3,"a":1}`, `-1`},
		{"indexof of what is not there", "SELECT indexof('abcd', 'x') AS r FROM 't'", `{}`, `{"r":-1}`},
		{"replace takes an Int as its text", "SELECT replace(313, '3', 'x') AS r FROM 't'", `{}`, `{"r":"x1x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := evaluate(t, c.sql, "2016-03-23", c.payload); string(got.Payload) != c.want {
				t.Errorf("%s gives %s, want %s", c.sql, got.Payload, c.want)
			}
		})
	}
}

func TestClientIDOutsideMQTT(t *testing.T) {
	for _, origin := range []iot.Origin{{Protocol: iot.ProtocolHTTP, ClientID: "x"}, {Protocol: iot.ProtocolMQTT}} {
		if got := clientID(&origin); got != "n/a" {
			t.Errorf("clientid() of %+v is %q", origin, got)
		}
	}
}

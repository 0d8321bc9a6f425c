package iotsql

import "testing"

func TestNestedSelect(t *testing.T) {
	const payload = `{"e":[{"n":"t","v":22.5},{"n":"l","v":135},{"n":"x"}],"o":{"a":1,"c":[1,2]},"nums":[5,6],"v":"outer","n":3}`
	checkValues(t, "2016-03-23", []valueCase{
		{"SELECT VALUE n FROM e", payload, `["t","l","x"]`},
		{"SELECT n AS name FROM e WHERE v > 100", payload, `[{"name":"l"}]`},
		{"(SELECT v FROM e WHERE n = 't')[0].v", payload, "22.5"},
		{"SELECT * FROM e WHERE n = 'none'", payload, "[]"},
		{"SELECT VALUE *.n FROM e", payload, `["t","l","x"]`},
		{"SELECT VALUE x * 2 FROM nums AS x WHERE x > 5", payload, "[12]"},
		{"SELECT VALUE topic(1) FROM nums", payload, `["site","site"]`},
		{"SELECT VALUE a FROM o", payload, "[1]"},
		{"SELECT VALUE n FROM missing", payload, undefined},
		{"SELECT VALUE n FROM v", payload, undefined},
		{"SELECT VALUE (SELECT VALUE y + x FROM nums AS y) FROM nums AS x", payload, "[[10,11],[11,12]]"},
		{"SELECT VALUE b FROM (SELECT VALUE * FROM e) AS b WHERE b.n = 'l'", payload, `[{"n":"l","v":135}]`},
		{"SELECT *, 1 AS v FROM e WHERE n = 't'", payload, `[{"n":"t","v":1}]`},
		{"get((SELECT * FROM *), 0).n", payload, "3"},
		{"isNull(SELECT VALUE a FROM o)", payload, "false"},
	})
}

func TestProjection(t *testing.T) {
	for _, c := range []struct{ name, sql, payload, want string }{
		{"unaliased fields keep their names", "SELECT a, b.c FROM 't'", `{"a":1,"b":{"c":2}}`, `{"a":1,"c":2}`},
		{"functions are named for themselves", "SELECT Topic(), cast(a AS string) FROM 't'", `{"a":1}`, `{"Topic":"site/7/line","cast":"1"}`},
		{"other expressions are their text", "SELECT a+1, -a FROM 't'", `{"a":1}`, `{"a+1":2,"-a":-1}`},
		{"undefined is left out and null is not", "SELECT a, b FROM 't'", `{"a":null}`, `{"a":null}`},
		{"nothing defined is an empty object", "SELECT b FROM 't'", `{}`, `{}`},
		{"the later of two equal keys wins", "SELECT a, b AS a FROM 't'", `{"a":1,"b":2}`, `{"a":2}`},
		{"an undefined later one does not", "SELECT a, b AS a FROM 't'", `{"a":1}`, `{"a":1}`},
		{"dotted aliases make objects", "SELECT a AS x.y, b AS x.z FROM 't'", `{"a":1,"b":2}`, `{"x":{"y":1,"z":2}}`},
		{"a dotted alias replaces what is no object", "SELECT a AS x, b AS x.z FROM 't'", `{"a":1,"b":2}`, `{"x":{"z":2}}`},
		{"star keeps order and numbers are folded", "SELECT *, a AS c FROM 't'", `{"b": 2.0, "a": [1.50]}`, `{"b":2,"a":[1.5],"c":[1.5]}`},
		{"an alias replaces a key in its place", "SELECT *, 9 AS a FROM 't'", `{"a":1,"b":2}`, `{"a":9,"b":2}`},
		{"star last overrides", "SELECT 9 AS a, 8 AS z, * FROM 't'", `{"a":1}`, `{"a":1,"z":8}`},
		{"star of an array has no keys", "SELECT *, 9 AS a FROM 't'", `[1]`, `{"a":9}`},
		{"star with an alias is the payload", "SELECT * AS p FROM 't'", `[1]`, `{"p":[1]}`},
		{"reserved words may be aliases", "SELECT a AS from FROM 't'", `{"a":1}`, `{"from":1}`},
		{"value is a field before FROM", "SELECT value FROM 't'", `{"value":1}`, `{"value":1}`},
		{"value is a field before a path", "SELECT value.a, b FROM 't'", `{"value":{"a":1},"b":2}`, `{"a":1,"b":2}`},
		{"value is a field before an operator", "SELECT value - 1 AS a FROM 't'", `{"value":3}`, `{"a":2}`},
		{"value is a field in a product", "SELECT value * 2 AS a FROM 't'", `{"value":3}`, `{"a":6}`},
		{"many keys, some of them twice", "SELECT *, 1 AS k3 FROM 't'", manyKeys(), `{"k0":0,"k1":-1,"k2":2,"k3":1,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"k10":10,"k11":11,"k12":12,"k13":13,"k14":14,"k15":15,"k16":16,"k17":-17}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := evaluate(t, c.sql, "2016-03-23", c.payload); string(got.Payload) != c.want {
				t.Errorf("%s of %s gives %s, want %s", c.sql, c.payload, got.Payload, c.want)
			}
		})
	}
}

func manyKeys() string {
	return `{"k0":0,"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"k10":10,"k11":11,` +
		`"k12":12,"k13":13,"k14":14,"k15":15,"k16":16,"k17":17,"k1":-1,"k17":-17}`
}

package iotsql

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// outside records calls and answers each with the JSON that is set for its function.
type outside struct {
	results map[string]string
	fails   error
	calls   []string
}

func (o *outside) call(c Call) (json.RawMessage, error) {
	args := make([]string, len(c.Args))
	for i, arg := range c.Args {
		args[i] = string(arg)
	}
	o.calls = append(o.calls, c.Function+"("+strings.Join(args, ", ")+")")
	return json.RawMessage(o.results[c.Function]), o.fails
}

func (o *outside) env(payload string) *Env {
	env := testEnv(payload)
	env.Call = o.call
	return env
}

func TestCallsOut(t *testing.T) {
	results := map[string]string{
		"aws_lambda":        ` {"celsius": 21.50, "tags": ["a"]} `,
		"get_dynamodb":      `{"owner":"Ann","n":1}`,
		"get_registry_data": `{"thingName":"t","attributes":{"site":"7"}}`,
	}
	for _, c := range []struct{ name, expr, payload, calls, want string }{
		{"a function's result is addressed", `aws_lambda("arn:f", {'t': t, 'u': missing}).celsius`, `{"t":1.50}`, `aws_lambda("arn:f", {"t":1.5})`, "21.5"},
		{"and its elements", `get(aws_lambda("arn:f", *).tags, 0)`, `{"t": 1}`, `aws_lambda("arn:f", {"t":1})`, `"a"`},
		{"an item by its key", `Get_DynamoDB('tab', 'id', id, 'arn:role')`, `{"id":"d1"}`, `get_dynamodb("tab", "id", "d1", "arn:role")`, `{"owner":"Ann","n":1}`},
		{"an item by both its keys", `get_dynamodb('tab', 'id', id, 'at', 5, 'arn:role').owner`, `{"id":7}`, `get_dynamodb("tab", "id", 7, "at", 5, "arn:role")`, `"Ann"`},
		{"a thing", `get_registry_data('DescribeThing', clientid(), 'arn:role').attributes.site`, `{}`, `get_registry_data("DescribeThing", "MyDevice001", "arn:role")`, `"7"`},
		{"a key that is missing calls nothing", `get_dynamodb('tab', 'id', id, 'arn:role')`, `{}`, "", undefined},
		{"a key that cannot be one neither", `get_dynamodb('tab', 'id', id, 'arn:role')`, `{"id":true}`, "", undefined},
		{"nor five arguments", `get_dynamodb('tab', 'id', 1, 'at', 'arn:role')`, `{}`, "", undefined},
		{"nor an operation of another name", `get_registry_data(o, 'x', 'arn:role')`, `{"o":"ListThings"}`, "", undefined},
		{"nor a function's name that is no String", `aws_lambda(1, {})`, `{}`, "", undefined},
		{"nor a function without input", `aws_lambda('arn:f', missing)`, `{}`, "", undefined},
		{"nor one argument", `aws_lambda('arn:f')`, `{}`, "", undefined},
		{"the same call is made once", `aws_lambda('f', 1).tags[0] + aws_lambda('f', 1).celsius`, `{}`, `aws_lambda("f", 1)`, `"a21.5"`},
		{"other arguments are another call", `[aws_lambda('f', 1).celsius, aws_lambda('f', 2).celsius]`, `{}`, `aws_lambda("f", 1) aws_lambda("f", 2)`, "[21.5,21.5]"},
		{"each row of a nested SELECT may call", `SELECT VALUE aws_lambda('f', x).celsius FROM l AS x`, `{"l":[1,2]}`, `aws_lambda("f", 1) aws_lambda("f", 2)`, "[21.5,21.5]"},
		{"the same item for each row", `SELECT VALUE get_dynamodb('tab', 'id', 1, 'r').n FROM l`, `{"l":[1,2]}`, `get_dynamodb("tab", "id", 1, "r")`, "[1,1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse("SELECT VALUE ("+c.expr+") FROM 't'", "2016-03-23")
			if err != nil {
				t.Fatal(err)
			}
			if !s.CallsOut() {
				t.Error("CallsOut is false")
			}
			o := &outside{results: results}
			result, err := s.Eval(o.env(c.payload))
			got := string(result.Payload)
			if result.Undefined {
				got = undefined
			}
			if err != nil || got != c.want || strings.Join(o.calls, " ") != c.calls {
				t.Errorf("%s, %v after %q; want %s after %q", got, err, o.calls, c.want, c.calls)
			}
		})
	}
}

func TestCallsWithoutResult(t *testing.T) {
	for result, want := range map[string]string{"": undefined, "null": "null", "5.0": "5", `"x"`: `"x"`} {
		s, err := Parse("SELECT VALUE aws_lambda('f', 1) FROM 't'", "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		o := &outside{results: map[string]string{"aws_lambda": result}}
		got, err := s.Eval(o.env("{}"))
		if text := string(got.Payload); err != nil || got.Undefined != (want == undefined) || !got.Undefined && text != want {
			t.Errorf("%q gives %+v, %v; want %s", result, got, err, want)
		}
	}
}

func TestACallThatFailsFailsTheRule(t *testing.T) {
	down := errors.New("the function is down")
	many := "[0"
	for i := range maxCalls {
		many += fmt.Sprintf(",%d", i+1)
	}
	many += "]"
	for _, c := range []struct {
		name, sql, payload string
		call               func(Call) (json.RawMessage, error)
		is                 error
		want               string
	}{
		{"an error", "SELECT aws_lambda('f', 1) FROM 't'", "{}", (&outside{fails: down}).call, down, "aws_lambda(): the function is down"},
		{"in WHERE", "SELECT * FROM 't' WHERE get_dynamodb('t', 'k', 1, 'r').x", "{}", (&outside{fails: down}).call, down, "get_dynamodb()"},
		{"in SET", "SET @a = aws_lambda('f', 1) SELECT * FROM 't'", "{}", (&outside{fails: down}).call, down, "aws_lambda()"},
		{"a result that is not JSON", "SELECT aws_lambda('f', 1) FROM 't'", "{}", (&outside{results: map[string]string{"aws_lambda": "{"}}).call, nil, "aws_lambda(): the result is not JSON"},
		{"nothing to call", "SELECT get_or_default(aws_lambda('f', 1), 2) FROM 't'", "{}", nil, iot.ErrUnsupported, "cannot be done here"},
		{"two items", "SELECT (SELECT VALUE get_dynamodb('t', 'k', x, 'r') FROM l AS x) FROM 't'", `{"l":[1,2]}`, (&outside{}).call, iot.ErrLimit, "more than once"},
		{"very many calls", "SELECT (SELECT VALUE aws_lambda('f', x) FROM l AS x) FROM 't'", `{"l":` + many + `}`, (&outside{}).call, iot.ErrLimit, "more than 20 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.sql, "2016-03-23")
			if err != nil {
				t.Fatal(err)
			}
			env := testEnv(c.payload)
			env.Call = c.call
			got, err := s.Eval(env)
			if err == nil || got.Fired || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%+v, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestGetOrDefaultCatchesACallThatFails(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT get_or_default(aws_lambda('f', 1).a, 2) AS r FROM 't'":                        `{"r":2}`,
		"SELECT get_or_default(aws_lambda('f', 1).a) AS r, 1 AS s FROM 't'":                   `{"s":1}`,
		"SELECT get_or_default(1 + get_dynamodb('t','k',1,'r'), aws_lambda('f', 1)) FROM 't'": "error",
		"SELECT get_or_default((SELECT VALUE aws_lambda('f', 1) FROM *), 2) AS r FROM 't'":    `{"r":2}`,
	} {
		s, err := Parse(sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		o := &outside{fails: errors.New("down")}
		got, err := s.Eval(o.env("{}"))
		if (err != nil) != (want == "error") || err == nil && string(got.Payload) != want {
			t.Errorf("%s gives %s, %v; want %s", sql, got.Payload, err, want)
		}
	}
	// What lies beyond the budget is no failure to rescue from.
	long := strings.Repeat("a", 60<<10)
	s, err := Parse("SELECT get_or_default(replace(replace(replace(s, 'a', s), 'a', s), 'a', s), 1) AS r FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Eval(testEnv(`{"s":"` + long + `"}`)); !errors.Is(err, iot.ErrLimit) {
		t.Error(err)
	}
}

func TestWhereCallsMayStand(t *testing.T) {
	for _, c := range []struct {
		sql, version string
		offset       int
		want         string
	}{
		{"SELECT get_dynamodb('t','k',1,'r') FROM 't'", "2015-10-08", 7, "expected SQL version 2016-03-23"},
		{"SELECT get_registry_data('DescribeThing','x','r') FROM 't'", "", 7, "expected SQL version 2016-03-23"},
		{"SELECT get_dynamodb('t','k',1,'r') AS a FROM 't' WHERE get_dynamodb('t','k',1,'r').x", "2016-03-23", 55, "expected at most one get_dynamodb() in a statement"},
		{"SET @a = get_registry_data('DescribeThing','x','r') SELECT GET_registry_data('DescribeThing','x','r')", "2016-03-23", 59, "expected at most one get_registry_data()"},
		{"SELECT get_registry_data('ListThings','x','r')", "2016-03-23", 25, "expected 'DescribeThing' or 'ListThingGroupsForThing', found 'ListThings'"},
		{"SET @r = 'r' SELECT get_dynamodb('t','k',1,@r) FROM 't'", "2016-03-23", 43, "expected no variable of SET in this argument of get_dynamodb(), found @r"},
		{"SET @r = 'r' SELECT get_dynamodb('t','k',1,'x' + @r.y) FROM 't'", "2016-03-23", 49, "expected no variable of SET"},
		{"SET @r = 'r' SELECT get_registry_data('DescribeThing','x',@r) FROM 't'", "2016-03-23", 58, "expected no variable of SET"},
		{"SET @r = 'DescribeThing' SELECT get_registry_data(@r,'x','r') FROM 't'", "2016-03-23", 50, "expected no variable of SET"},
		{"SET @m = 'enrichArray' SELECT transform(@m, a, b) FROM 't'", "2016-03-23", 40, "expected no variable of SET"},
		{"SET @m = 'base64' SELECT encode(a, @m) FROM 't'", "2016-03-23", 35, "expected no variable of SET"},
	} {
		_, err := Parse(c.sql, c.version)
		syn, ok := errors.AsType[*SyntaxError](err)
		if !ok || syn.Offset != c.offset || !strings.Contains(syn.Error(), c.want) {
			t.Errorf("%s: %v; want at %d: %s", c.sql, err, c.offset, c.want)
		}
	}
	for _, sql := range []string{
		"SELECT aws_lambda('f', 1) FROM 't'",
		"SELECT aws_lambda('f', 1), aws_lambda('f', 2) FROM 't'",
	} {
		if _, err := Parse(sql, "2015-10-08"); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := Parse("SET @k = 1 SELECT get_dynamodb('t','k',@k,'r'), get_registry_data('DescribeThing',@k,'r') FROM 't'", "2016-03-23"); err != nil {
		t.Error(err)
	}
}

func TestCallsOutOfTemplates(t *testing.T) {
	s, err := Parse("SET @f = aws_lambda('f', 1), @g = @f.x, @plain = 2 SELECT * FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text  string
		calls string
		want  string
	}{
		{"plain", "", "plain"},
		{"${a}/${@plain}", "", "1/2"},
		{"${@g}", `aws_lambda("f", 1)`, "5"},
		{"${@g}${@f.x}${aws_lambda('f', 1).x}", `aws_lambda("f", 1)`, "555"},
		{"${aws_lambda('h', a).x}", `aws_lambda("h", 1)`, "5"},
	} {
		tmpl, err := s.Template(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if tmpl.CallsOut() != (c.calls != "") {
			t.Errorf("%s: CallsOut is %t", c.text, tmpl.CallsOut())
		}
		o := &outside{results: map[string]string{"aws_lambda": `{"x":5}`}}
		got, err := tmpl.Expand(o.env(`{"a":1}`))
		if err != nil || got != c.want || strings.Join(o.calls, " ") != c.calls {
			t.Errorf("%s expands to %q, %v after %q; want %q after %q", c.text, got, err, o.calls, c.want, c.calls)
		}
		_, err = s.ErrorTemplate(c.text)
		if (err != nil) != (c.calls != "") {
			t.Errorf("%s in an error action: %v", c.text, err)
		}
	}
	_, err = s.ErrorTemplate("x${@g}")
	syn, ok := errors.AsType[*SyntaxError](err)
	if !ok || syn.Offset != 3 || !strings.Contains(syn.Error(), "found @g, which calls aws_lambda()") {
		t.Error(err)
	}
}

func TestStatementAndTemplatesShareTheirCalls(t *testing.T) {
	s, err := Parse("SET @f = aws_lambda('f', 1) SELECT @f AS f FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := s.Template("${@f}")
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{results: map[string]string{"aws_lambda": "1"}}
	env := o.env("{}")
	if _, err := s.Eval(env); err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.Expand(env); err != nil || got != "1" || len(o.calls) != 1 {
		t.Errorf("%q, %v after %q", got, err, o.calls)
	}
}

func TestMayFire(t *testing.T) {
	for _, c := range []struct {
		sql   string
		calls bool
		want  bool
	}{
		{"SELECT * FROM 't'", false, true},
		{"SELECT * FROM 't' WHERE a = 2", false, false},
		{"SELECT * FROM 't' WHERE a = 1", false, true},
		{"SELECT aws_lambda('f', 1) FROM 't' WHERE a = 2", true, false},
		{"SELECT aws_lambda('f', 1) FROM 't' WHERE a = 1", true, true},
		{"SELECT * FROM 't' WHERE aws_lambda('f', 1) = 2", true, true},
		{"SET @x = aws_lambda('f', 1) SELECT * FROM 't' WHERE a = 2", true, true},
		{"SET @x = a + 1 SELECT aws_lambda('f', 1) FROM 't' WHERE @x = 3", true, false},
		{"SELECT (SELECT aws_lambda('f', 1) FROM l) FROM 't' WHERE a = 2", true, false},
	} {
		s, err := Parse(c.sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		o := &outside{}
		got, err := s.MayFire(o.env(`{"a":1}`))
		if err != nil || got != c.want || s.CallsOut() != c.calls || o.calls != nil {
			t.Errorf("%s may fire: %t, %v, calls out: %t", c.sql, got, err, s.CallsOut())
		}
	}
}

func TestTraceID(t *testing.T) {
	s, err := Parse("SELECT VALUE traceid() FROM 't'", "")
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv("{}")
	if got, err := s.Eval(env); err != nil || !got.Undefined {
		t.Errorf("without a trace: %+v, %v", got, err)
	}
	env.Trace = func() string { return "6b0e1c9e-0000-4000-8000-00000000000a" }
	if got, err := s.Eval(env); err != nil || string(got.Payload) != `"6b0e1c9e-0000-4000-8000-00000000000a"` {
		t.Errorf("%+v, %v", got, err)
	}
	env.Message.Origin.Protocol = iot.ProtocolHTTP
	if got, err := s.Eval(env); err != nil || !got.Undefined {
		t.Errorf("outside MQTT: %+v, %v", got, err)
	}
}

package ddb

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func item(t *testing.T, text string) Item {
	t.Helper()
	var i Item
	if err := i.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return i
}

func scope(t *testing.T) *Scope {
	t.Helper()
	s, err := NewScope(map[string]string{"#count": "count"}, item(t, `{":n":{"N":"5"},":m":{"N":"9"},":s":{"S":"sen"},
		":l":{"L":[{"S":"z"}]},":ss":{"SS":["a","z"]},":all":{"SS":["a","b"]},":t":{"S":"N"},":bool":{"BOOL":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const sample = `{"n":{"N":"5.0"},"s":{"S":"sensor"},"l":{"L":[{"N":"1"},{"M":{"x":{"N":"2"}}},{"S":"sen"}]},
	"m":{"M":{"a":{"N":"1"},"b":{"N":"2"}}},"tags":{"SS":["a","b"]},"count":{"N":"1"}}`

func TestConditionMatches(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"numbers are equal by value", "n = :n", true},
		{"types are never ordered", "s > :n", false},
		{"values of two types are unequal", "s <> :n", true},
		{"what is missing is not less", "gone < :n", false},
		{"NOT makes that true", "NOT gone < :n", true},
		{"what is missing is unlike anything", "gone <> :n", true},
		{"even another that is missing", "gone <> too", true},
		{"AND binds before OR", "n = :n OR n = :m AND s = :s", true},
		{"NOT binds before AND", "NOT n = :m AND n = :n", true},
		{"BETWEEN takes its AND", "n BETWEEN :n AND :m AND begins_with(s, :s)", true},
		{"IN", "n IN (:m, :n)", true},
		{"paths through lists and maps", "l[1].x < m.b OR m.a = l[0]", true},
		{"an element beyond the end", "attribute_exists(l[3])", false},
		{"contains an element", "contains(l, :s)", true},
		{"contains a part", "contains(s, :s)", true},
		{"size of a list", "size(l) < :n", true},
		{"size of a number is none", "size(n) >= :n", false},
		{"attribute_type", "attribute_type(n, :t)", true},
		{"an operand in parentheses", "(n) = (:n)", true},
		{"a name behind #", "#count <= :n", true},
	} {
		cond, err := scope(t).Condition(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := cond.Matches(item(t, sample)); got != c.want {
			t.Errorf("%s: %s is %v", c.name, c.text, got)
		}
	}
}

func TestExpressionRefusals(t *testing.T) {
	s := scope(t)
	condition := func(text string) error { _, err := s.Condition(text); return err }
	update := func(text string) error { _, err := s.Update(text); return err }
	projection := func(text string) error { _, err := s.Projection(text); return err }
	key := func(text string) error { _, err := s.KeyCondition(text); return err }
	for _, c := range []struct {
		parse      func(string) error
		text, want string
	}{
		{condition, "", "Invalid ConditionExpression: The expression can not be empty;"},
		{condition, "a = = :n", `Invalid ConditionExpression: Syntax error; token: "=", near: "= = :n"`},
		{condition, "a =", `Syntax error; token: "<EOF>", near: "="`},
		{condition, "status = :n", "Attribute name is a reserved keyword; reserved keyword: status"},
		{condition, "#x = :n", "name used in the document path is not defined; attribute name: #x"},
		{condition, "a = :x", "value used in expression is not defined; attribute value: :x"},
		{condition, "((a = :n))", "The expression has redundant parentheses;"},
		{condition, "foo(a)", "Invalid function name; function: foo"},
		{condition, "size(a)", "not allowed to be used this way in an expression; function: size"},
		{condition, "begins_with(a, :n)", "operator or function: begins_with, operand type: N"},
		{condition, "a < :bool", "operator or function: <, operand type: BOOL"},
		{condition, "a BETWEEN :m AND :n", "requires upper bound to be greater than or equal to lower bound"},
		{condition, "a BETWEEN :n AND :s", "requires same data type for lower and upper bounds"},
		{condition, "a = a", "operator: =, first operand: [a]"},
		{condition, "a IN (" + strings.Repeat(":n,", 100) + ":n)", "number of operands: 101"},
		{condition, strings.Repeat("NOT ", 301) + "a = :n", "too many operators"},
		{condition, strings.Repeat(" ", 4097), "maximum allowed size"},
		{update, "SET a = :s + :n", "operator or function: +, operand type: S"},
		{update, "SET a = :n SET b = :n", `The "SET" section can only be used once in an update expression;`},
		{update, "SET a = :n REMOVE a.b", "paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
		{update, "REMOVE a.b, a[0]", "paths conflict with each other"},
		{update, "ADD a :s", "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
		{update, "SET a = size(b)", "not allowed in an update expression; function: size"},
		{update, "SET a = :n + :n + :n", "Syntax error"},
		{projection, "a, b, a", "path one: [a], path two: [a]"},
		{key, "a = :n OR b = :n", "Invalid operator used in KeyConditionExpression: OR"},
		{key, "a > :n AND a < :m", "must only contain one condition per key"},
		{key, "a = b", "Multiple attribute names used in one condition"},
	} {
		if err := c.parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%.60q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestUpdateApplies(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"arithmetic is exact and reads the old item", "SET n = n + :n, m.a = n - :m", `"n":{"N":"10"},"m":{"M":{"a":{"N":"-4"},"b":{"N":"2"}}}`},
		{"elements are removed by their old index", "REMOVE l[0], l[1].x, l[7]", `"l":{"L":[{"M":{}},{"S":"sen"}]}`},
		{"elements beyond the end are appended in order", "SET l[9] = :n, l[5] = :m REMOVE l[0], l[1]", `"l":{"L":[{"S":"sen"},{"N":"9"},{"N":"5"}]}`},
		{"if_not_exists and list_append", "SET l = list_append(:l, if_not_exists(gone, :l)), n = if_not_exists(n, :m)", `"l":{"L":[{"S":"z"},{"S":"z"}]}`},
		{"ADD counts and unites", "ADD n :n, fresh :n, tags :ss", `"n":{"N":"10"},"fresh":{"N":"5"},"tags":{"SS":["a","b","z"]}`},
		{"DELETE takes from a set", "DELETE tags :ss, gone :ss", `"tags":{"SS":["b"]}`},
		{"an empty set is removed", "DELETE tags :all", `"tags":null`},
		{"what does not exist", "SET a = gone", "refers to an attribute that does not exist in the item"},
		{"a text is not counted", "SET s = s + :n", "An operand in the update expression has an incorrect data type"},
		{"a member of what is missing", "SET gone.x = :n", "document path provided in the update expression is invalid for update"},
		{"a member of an element that this update appends", "SET l[3] = :l, l[4].x = :n", "invalid for update"},
	} {
		u, err := scope(t).Update(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		old := item(t, sample)
		got, err := u.Apply(old)
		if !old.Equal(item(t, sample)) {
			t.Errorf("%s: the old item changed", c.name)
		}
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		want := item(t, sample)
		if c.want == `"tags":null` {
			delete(want, "tags")
		} else if strings.HasPrefix(c.want, `"`) {
			for name, v := range item(t, "{"+c.want+"}") {
				want[name] = v
			}
		}
		if !got.Equal(want) {
			t.Errorf("%s: %s", c.name, got.AppendJSON(nil))
		}
	}
}

func TestProjectionApplies(t *testing.T) {
	p, err := scope(t).Projection("l[2], m.b, l[0], gone, s.x, #count")
	if err != nil {
		t.Fatal(err)
	}
	want := item(t, `{"l":{"L":[{"N":"1"},{"S":"sen"}]},"m":{"M":{"b":{"N":"2"}}},"count":{"N":"1"}}`)
	if got := p.Apply(item(t, sample)); !got.Equal(want) {
		t.Errorf("%s", got.AppendJSON(nil))
	}
}

func TestKeyTermRange(t *testing.T) {
	for _, c := range []struct {
		text string
		in   string // of the numbers 1 to 9, those in range
	}{
		{"k = :n", "5"},
		{"k < :n", "1234"},
		{"k <= :n", "12345"},
		{":n < k", "6789"},
		{"k >= :n", "56789"},
		{"k BETWEEN :n AND :m", "56789"},
	} {
		k, err := scope(t).KeyCondition("p = :s AND " + c.text)
		if err != nil {
			t.Fatal(err)
		}
		value, term, err := k.Split("p", "k")
		if err != nil || value.Text() != "sen" {
			t.Fatal(value, err)
		}
		lower, upper, err := term.Range()
		if err != nil {
			t.Fatal(err)
		}
		in := ""
		for n := range int64(9) {
			v := Int(n + 1)
			key, err := AppendKey(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			if at := string(key) + "\xff"; at >= string(lower) && at < string(upper) {
				in += v.Text()
			}
		}
		if in != c.in {
			t.Errorf("%s has %s, want %s", c.text, in, c.in)
		}
	}
}

func TestScopeRefusesWhatIsUnused(t *testing.T) {
	s := scope(t)
	if _, err := s.Projection("a"); err != nil {
		t.Fatal(err)
	}
	want := "Value provided in ExpressionAttributeNames unused in expressions: keys: {#count}"
	if err := s.Unused(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

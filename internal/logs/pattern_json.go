package logs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxNesting is how deep parentheses go in a JSON pattern.
const maxNesting = 32

// condition decides on a decoded JSON message.
type condition func(document any) bool

// parseJSONPattern compiles a pattern such as { $.a = "x" && ($.b > 1 || $.c IS NULL) }.
// A message that is not JSON is not selected.
func parseJSONPattern(pattern string) (matcher, error) {
	inner, ok := strings.CutSuffix(pattern[1:], "}")
	if !ok {
		return nil, fmt.Errorf("the JSON filter pattern lacks its closing }: %w", iot.ErrInvalid)
	}
	p := &jsonPattern{rest: inner}
	c, err := p.or(0)
	if err == nil && p.next() != "" {
		err = p.wants("&&, || or the end")
	}
	if err != nil {
		return nil, err
	}
	return func(text string) bool {
		if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && !strings.HasPrefix(text, "[") {
			return false
		}
		var document any
		return json.Unmarshal([]byte(text), &document) == nil && c(document)
	}, nil
}

// jsonPattern is a JSON pattern while it is parsed.
type jsonPattern struct{ rest string }

// next skips spaces and returns what is left.
func (p *jsonPattern) next() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

func (p *jsonPattern) wants(what string) error {
	return fmt.Errorf("the JSON filter pattern wants %s at %q: %w", what, p.rest, iot.ErrInvalid)
}

// takes skips one of the tokens and returns it, or "".
func (p *jsonPattern) takes(tokens ...string) string {
	p.next()
	for _, token := range tokens {
		if len(p.rest) >= len(token) && strings.EqualFold(p.rest[:len(token)], token) {
			p.rest = p.rest[len(token):]
			return token
		}
	}
	return ""
}

func (p *jsonPattern) or(depth int) (condition, error) {
	left, err := p.and(depth)
	for err == nil && p.takes("||") != "" {
		a := left
		var b condition
		b, err = p.and(depth)
		left = func(d any) bool { return a(d) || b(d) }
	}
	return left, err
}

func (p *jsonPattern) and(depth int) (condition, error) {
	left, err := p.comparison(depth)
	for err == nil && p.takes("&&") != "" {
		a := left
		var b condition
		b, err = p.comparison(depth)
		left = func(d any) bool { return a(d) && b(d) }
	}
	return left, err
}

// comparison reads one comparison, or a condition in parentheses.
func (p *jsonPattern) comparison(depth int) (condition, error) {
	if p.takes("(") != "" {
		if depth == maxNesting {
			return nil, fmt.Errorf("the JSON filter pattern nests deeper than %d: %w", maxNesting, iot.ErrInvalid)
		}
		c, err := p.or(depth + 1)
		if err == nil && p.takes(")") == "" {
			err = p.wants(")")
		}
		return c, err
	}
	path, err := p.selector()
	if err != nil {
		return nil, err
	}
	operator := p.takes("!=", "<=", ">=", "=", "<", ">", "IS ", "NOT EXISTS")
	switch operator {
	case "":
		return nil, p.wants("an operator (=, !=, <, >, <=, >=, IS, NOT EXISTS)")
	case "NOT EXISTS":
		return func(d any) bool { return len(path.values(d)) == 0 }, nil
	}
	test, err := p.operand(operator)
	if err != nil {
		return nil, err
	}
	return func(d any) bool {
		for _, v := range path.values(d) {
			if test(v) {
				return true
			}
		}
		return false
	}, nil
}

// operand reads what an operator compares with and returns the test of a value.
func (p *jsonPattern) operand(operator string) (condition, error) {
	if operator == "IS " {
		switch p.takes("TRUE", "FALSE", "NULL") {
		case "TRUE":
			return func(v any) bool { return v == true }, nil
		case "FALSE":
			return func(v any) bool { return v == false }, nil
		case "NULL":
			return func(v any) bool { return v == nil }, nil
		}
		return nil, p.wants("TRUE, FALSE or NULL")
	}
	test, err := p.value(operator)
	if err != nil || operator != "!=" {
		return test, err
	}
	return func(v any) bool { return !test(v) }, nil
}

// value reads a number or a text and returns the test of equality with it, or of
// order for an operator of order.
func (p *jsonPattern) value(operator string) (condition, error) {
	ordered := operator != "=" && operator != "!="
	text := p.next()
	switch {
	case strings.HasPrefix(text, `"`) && !ordered:
		value, rest, err := quoted(text)
		p.rest = rest
		return textTest(value), err
	case strings.HasPrefix(text, "%") && !ordered:
		expression, rest, err := parseRegexp(text)
		if err != nil {
			return nil, err
		}
		p.rest = rest
		return func(v any) bool { s, ok := v.(string); return ok && expression.MatchString(s) }, nil
	}
	end := strings.IndexAny(text, " \t\r\n&|()")
	if end < 0 {
		end = len(text)
	}
	word := text[:end]
	number, err := strconv.ParseFloat(word, 64)
	switch {
	case err == nil:
		p.rest = text[end:]
		return numberTest(operator, number), nil
	case word == "" || ordered:
		return nil, p.wants("a value, a number for <, >, <= and >=,")
	}
	p.rest = text[end:]
	return textTest(word), nil
}

// textTest matches texts, in which * of the pattern takes any characters.
func textTest(value string) condition {
	if !strings.Contains(value, "*") {
		return func(v any) bool { return v == value }
	}
	parts := strings.Split(value, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	expression := regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$")
	return func(v any) bool { s, ok := v.(string); return ok && expression.MatchString(s) }
}

func numberTest(operator string, want float64) condition {
	return func(v any) bool {
		have, ok := v.(float64)
		if !ok {
			return false
		}
		switch operator {
		case "<":
			return have < want
		case "<=":
			return have <= want
		case ">":
			return have > want
		case ">=":
			return have >= want
		default:
			return have == want
		}
	}
}

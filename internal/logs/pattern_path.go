package logs

import (
	"strconv"
	"strings"
)

// path is a selector such as $.a.b[0]["c d"][*].
type path []step

// step goes into a member, an element, or with every into all elements.
type step struct {
	member string
	index  int // -1 for a member
	every  bool
}

// selector reads a path, which begins with $.
func (p *jsonPattern) selector() (path, error) {
	if p.takes("$") == "" {
		return nil, p.wants("a selector such as $.name")
	}
	var steps path
	for {
		switch {
		case strings.HasPrefix(p.rest, "."):
			name := p.rest[1:]
			if end := strings.IndexAny(name, " \t\r\n.[]=!<>&|()\""); end >= 0 {
				name = name[:end]
			}
			p.rest = p.rest[1+len(name):]
			if name == "" && !strings.HasPrefix(p.rest, "[") {
				return nil, p.wants("a member's name")
			}
			if name != "" {
				steps = append(steps, step{member: name, index: -1})
			}
		case strings.HasPrefix(p.rest, "["):
			s, err := p.bracket()
			if err != nil {
				return nil, err
			}
			steps = append(steps, s)
		case len(steps) == 0:
			return nil, p.wants("a member's name")
		default:
			return steps, nil
		}
	}
}

// bracket reads [0], [*], ["name"] or ['name'].
func (p *jsonPattern) bracket() (step, error) {
	p.rest = p.rest[1:]
	var s step
	switch p.next(); {
	case strings.HasPrefix(p.rest, `"`):
		name, rest, err := quoted(p.rest)
		if err != nil {
			return s, err
		}
		s, p.rest = step{member: name, index: -1}, rest
	case strings.HasPrefix(p.rest, "'"):
		name, rest, _ := strings.Cut(p.rest[1:], "'")
		s, p.rest = step{member: name, index: -1}, rest
	default:
		text, _, _ := strings.Cut(p.rest, "]")
		n, err := strconv.Atoi(strings.TrimSpace(text))
		s = step{index: n, every: strings.TrimSpace(text) == "*"}
		if !s.every && (err != nil || n < 0) {
			return s, p.wants("an index, * or a quoted name")
		}
		p.rest = p.rest[len(text):]
	}
	if p.takes("]") == "" {
		return s, p.wants("]")
	}
	return s, nil
}

// values returns what a document has at the path.
func (steps path) values(document any) []any {
	found := []any{document}
	for _, s := range steps {
		var next []any
		for _, v := range found {
			next = append(next, s.into(v)...)
		}
		found = next
	}
	return found
}

func (s step) into(v any) []any {
	switch v := v.(type) {
	case map[string]any:
		if inner, ok := v[s.member]; ok && s.index < 0 {
			return []any{inner}
		}
	case []any:
		switch {
		case s.every:
			return v
		case s.index >= 0 && s.index < len(v):
			return v[s.index : s.index+1]
		}
	}
	return nil
}

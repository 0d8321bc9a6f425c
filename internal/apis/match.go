package apis

import (
	"cmp"
	"net/url"
	"strings"
)

// segment is one segment of a route's path.
type segment struct {
	text string // literal, or the name of the path parameter
	kind int    // literal, parameter or greedy: the higher the less specific
}

const (
	literal = iota
	parameter
	greedy // takes the rest of the path, at least one segment
)

// parsePath reads /pets/{id}/{proxy+}. The error wraps [iot.ErrInvalid].
func parsePath(path string) ([]segment, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || len(path) > 1024 || strings.ContainsAny(path, " ?#") {
		return nil, invalid("path %q: it begins with / and has neither spaces nor a query", path)
	}
	if rest == "" {
		return nil, nil
	}
	parts := strings.Split(rest, "/")
	segments := make([]segment, len(parts))
	seen := make(map[string]bool)
	for i, part := range parts {
		name, isParameter := strings.CutPrefix(part, "{")
		if !isParameter {
			if part == "" || strings.ContainsAny(part, "{}") {
				return nil, invalid("path %q: segment %q is neither a text nor one parameter in braces", path, part)
			}
			segments[i] = segment{text: part}
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, isGreedy := strings.CutSuffix(name, "+")
		if !closed || name == "" || strings.ContainsAny(name, "{}+") || isGreedy && i < len(parts)-1 || seen[name] {
			return nil, invalid("path %q: %q is not a parameter {name}, or {name+} at the end, with a name of its own", path, part)
		}
		seen[name] = true
		segments[i] = segment{text: name, kind: parameter}
		if isGreedy {
			segments[i].kind = greedy
		}
	}
	return segments, nil
}

// moreSpecific orders the routes of an HTTP API: literal segments before
// parameters before the rest of a path, then a method before ANY.
func moreSpecific(a, b *route) int {
	for i := range min(len(a.path), len(b.path)) {
		if n := cmp.Compare(a.path[i].kind, b.path[i].kind); n != 0 {
			return n
		}
	}
	if n := cmp.Compare(len(b.path), len(a.path)); n != 0 {
		return n
	}
	any := func(r *route) int {
		if r.method == "ANY" {
			return 1
		}
		return 0
	}
	return cmp.Compare(any(a), any(b))
}

// match returns the most specific route for a method and an escaped path, or
// $default, and the path's parameters; nil when there is none.
func (s *stage) match(method, path string) (*route, map[string]string) {
	parts := splitPath(path)
	for _, r := range s.paths {
		if r.method != method && r.method != "ANY" {
			continue
		}
		if parameters, ok := matchPath(r.path, parts); ok {
			return r, parameters
		}
	}
	return s.keys[defaultRoute], nil
}

func splitPath(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// matchPath matches escaped segments and returns the parameters, unescaped.
func matchPath(pattern []segment, parts []string) (map[string]string, bool) {
	var parameters map[string]string
	for i, want := range pattern {
		if i >= len(parts) {
			return nil, false
		}
		have := parts[i]
		if want.kind == greedy {
			have = strings.Join(parts[i:], "/")
		}
		text, err := url.PathUnescape(have)
		if err != nil || text == "" || want.kind == literal && text != want.text {
			return nil, false
		}
		if want.kind == literal {
			continue
		}
		if parameters == nil {
			parameters = make(map[string]string, 2)
		}
		parameters[want.text] = text
		if want.kind == greedy {
			return parameters, true
		}
	}
	return parameters, len(parts) == len(pattern)
}

package apis

import (
	"encoding/json"
	"strings"
)

// selection is a parsed route selection expression: literal text and members of
// the message's body, one after another.
type selection []selected

// selected is a piece of a selection: a text, or a path of members.
type selected struct {
	text string
	path []string // nil for a text
}

// parseSelection reads $request.body.action, ${request.body.a.b} and texts with
// the latter in them. The error wraps [iot.ErrInvalid].
func parseSelection(expression string) (selection, error) {
	if path, ok := strings.CutPrefix(expression, "$request.body."); ok {
		members, err := membersOf(expression, path)
		return selection{{path: members}}, err
	}
	var s selection
	members := false
	for rest := expression; rest != ""; {
		text, after, found := strings.Cut(rest, "${")
		if text != "" {
			s = append(s, selected{text: text})
		}
		if !found {
			break
		}
		inner, end, closed := strings.Cut(after, "}")
		path, ok := strings.CutPrefix(inner, "request.body.")
		if !closed || !ok {
			return nil, invalidSelection(expression)
		}
		parsed, err := membersOf(expression, path)
		if err != nil {
			return nil, err
		}
		s, rest, members = append(s, selected{path: parsed}), end, true
	}
	if !members {
		return nil, invalidSelection(expression)
	}
	return s, nil
}

func membersOf(expression, path string) ([]string, error) {
	members := strings.Split(path, ".")
	for _, m := range members {
		if m == "" || strings.ContainsAny(m, "${}[]() \t") {
			return nil, invalidSelection(expression)
		}
	}
	return members, nil
}

func invalidSelection(expression string) error {
	return invalid("routeSelectionExpression %q: it names members of the message, such as $request.body.action or ${request.body.kind}", expression)
}

// key evaluates the expression on a message. "" means that it has no value
// there, or that the message is no JSON object.
func (s selection) key(message []byte) string {
	var body any
	if err := json.Unmarshal(message, &body); err != nil {
		return ""
	}
	var key strings.Builder
	for _, piece := range s {
		if piece.path == nil {
			key.WriteString(piece.text)
			continue
		}
		value, ok := member(body, piece.path)
		if !ok {
			return ""
		}
		key.WriteString(value)
	}
	return key.String()
}

// member returns a scalar member of a document as text.
func member(v any, path []string) (string, bool) {
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		v = object[name]
	}
	switch v := v.(type) {
	case string:
		return v, true
	case bool, float64:
		text, err := json.Marshal(v)
		return string(text), err == nil
	}
	return "", false
}

package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// tokenKind says what a token of a pattern stands for.
type tokenKind byte

const (
	literal  tokenKind = iota // its text
	anyRun                    // *: any run of characters, slashes included
	anyOne                    // ?: exactly one character
	variable                  // ${…}: the value of a key
)

type token struct {
	kind tokenKind
	text string // literal
	key  key    // variable
}

// pattern is text with wildcards and policy variables, split for matching. In a
// pattern the MQTT wildcards + and # are ordinary characters.
type pattern []token

// parsePattern splits text. ${*}, ${?} and ${$} stand for the character itself;
// * and ? are wildcards only where wild is set.
func parsePattern(text string, wild bool) (pattern, error) {
	var p pattern
	for text != "" {
		special := "$"
		if wild {
			special = "$*?"
		}
		switch i := strings.IndexAny(text, special); {
		case i < 0:
			return p.add(text), nil
		case i > 0:
			p, text = p.add(text[:i]), text[i:]
		}
		switch {
		case text[0] == '*':
			p, text = append(p, token{kind: anyRun}), text[1:]
		case text[0] == '?':
			p, text = append(p, token{kind: anyOne}), text[1:]
		case !strings.HasPrefix(text, "${"):
			p, text = p.add("$"), text[1:]
		default:
			name, rest, closed := strings.Cut(text[2:], "}")
			if !closed {
				return nil, fmt.Errorf("the variable %q lacks its closing brace", text)
			}
			switch name {
			case "":
				return nil, fmt.Errorf("${} names no variable")
			case "*", "?", "$":
				p = p.add(name)
			default:
				p = append(p, token{kind: variable, key: parseKey(name)})
			}
			text = rest
		}
	}
	return p, nil
}

// add appends literal text, joined to a literal before it.
func (p pattern) add(text string) pattern {
	if n := len(p); n > 0 && p[n-1].kind == literal {
		p[n-1].text += text
		return p
	}
	return append(p, token{kind: literal, text: text})
}

// keys returns the variables of p.
func (p pattern) keys() []key {
	var keys []key
	for _, t := range p {
		if t.kind == variable {
			keys = append(keys, t.key)
		}
	}
	return keys
}

// resolve returns p with its variables replaced by their values for who, in
// buf's memory if it suffices. ok is false when a variable has no value that
// may be substituted: AWS then leaves the variable's text where it is, and the
// pattern matches nothing.
func (p pattern) resolve(buf []token, who *iot.Principal) (resolved pattern, ok bool) {
	first := 0
	for first < len(p) && p[first].kind != variable {
		first++
	}
	if first == len(p) {
		return p, true
	}
	resolved = append(buf[:0], p...)
	for i := first; i < len(p); i++ {
		if p[i].kind != variable {
			continue
		}
		value, ok := p[i].key.substitute(who)
		if !ok {
			return nil, false
		}
		resolved[i] = token{kind: literal, text: value}
	}
	return resolved, true
}

// match reports whether a resolved pattern takes the whole of s.
func (p pattern) match(s string) bool {
	at, pos := 0, 0       // next token, and where in s it has to match
	star, resume := -1, 0 // token after the last *, and where it was last tried
	for at < len(p) || pos < len(s) {
		if at < len(p) {
			switch t := &p[at]; t.kind {
			case anyRun:
				at++
				if at == len(p) {
					return true
				}
				star, resume = at, pos
				continue
			case anyOne:
				if pos < len(s) {
					at, pos = at+1, pos+width(s[pos:])
					continue
				}
			case literal:
				if strings.HasPrefix(s[pos:], t.text) {
					at, pos = at+1, pos+len(t.text)
					continue
				}
			}
		}
		// Only the last * needs to be lengthened: an earlier one that took the
		// shortest run already leaves the most for what follows.
		if star < 0 || resume >= len(s) {
			return false
		}
		resume += width(s[resume:])
		at, pos = star, resume
	}
	return true
}

// width is the length in bytes of the first character of s.
func width(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// expand returns the text of a resolved pattern without wildcards.
func (p pattern) expand() string {
	if len(p) == 1 {
		return p[0].text
	}
	var b strings.Builder
	for _, t := range p {
		b.WriteString(t.text)
	}
	return b.String()
}

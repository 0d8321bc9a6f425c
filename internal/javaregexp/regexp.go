package javaregexp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// DefaultLimit is how long one call may match unless [Regexp.WithLimit] says otherwise.
const DefaultLimit = 100 * time.Millisecond

// maxStack bounds what the engine remembers to backtrack to, in words of 8 bytes.
const maxStack = 1 << 20

// maxPattern bounds a pattern, in bytes, and so the time to compile it.
const maxPattern = 16 << 10

// LimitError is the error of a match that took too long or needed too much to go on.
// The text may match or not.
type LimitError struct{ Reason string }

func (e *LimitError) Error() string { return "the regular expression " + e.Reason }

// SyntaxError says why a pattern or replacement means nothing to Java.
type SyntaxError struct {
	Offset int // in characters of the text that was read
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at character %d: %s", e.Offset, e.Reason) }

// UnsupportedError names a construct that Java has and this package cannot run.
type UnsupportedError struct {
	Offset    int // in characters of the pattern
	Construct string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("at character %d: %s is not supported in a regular expression", e.Offset, e.Construct)
}

// Regexp is a compiled pattern. It is immutable and safe for concurrent use.
type Regexp struct {
	engine *regexp2.Regexp
	groups int            // besides the whole match
	names  map[string]int // of named groups
}

// Compile reads a pattern. Errors are a [*SyntaxError] or an [*UnsupportedError].
func Compile(pattern string) (*Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, &UnsupportedError{Construct: fmt.Sprintf("a pattern of more than %d bytes", maxPattern)}
	}
	p := newParser(pattern)
	tree := p.pattern()
	if p.err != nil {
		return nil, p.err
	}
	if p.refused != nil {
		return nil, p.refused
	}
	w := writer{limit: maxWritten, groups: p.groups}
	w.node(tree)
	if w.limit < 0 {
		return nil, &UnsupportedError{Construct: "a pattern with so many large classes"}
	}
	engine, err := compile(w.String())
	if err != nil {
		return nil, &UnsupportedError{Construct: "a pattern that the engine refuses"}
	}
	engine.MatchTimeout = DefaultLimit
	return &Regexp{engine: engine, groups: p.groups, names: p.names}, nil
}

func compile(pattern string) (engine *regexp2.Regexp, err error) {
	defer contain(&err)
	return regexp2.Compile(pattern, regexp2.OptionMaxBacktrackingStackSize(maxStack))
}

// contain makes an error of a panic of the engine: patterns and texts come from
// devices, and a fault of its optimiser must not end the server.
func contain(err *error) {
	if fault := recover(); fault != nil {
		*err = &LimitError{fmt.Sprintf("failed in its engine: %v", fault)}
	}
}

// WithLimit makes calls end after about that time, which is positive. The clock of
// the engine ticks ten times a second, so a call may last a tick longer. It is for
// use before the Regexp is shared.
func (re *Regexp) WithLimit(limit time.Duration) *Regexp {
	re.engine.MatchTimeout = limit
	return re
}

// MatchString reports whether the pattern matches anywhere in s. The error is a
// [*LimitError].
func (re *Regexp) MatchString(s string) (ok bool, err error) {
	defer contain(&err)
	ok, err = re.engine.MatchString(s)
	return ok, re.explain(err)
}

// FindString returns the first match in s, and whether there is one. The error is a
// [*LimitError].
func (re *Regexp) FindString(s string) (found string, ok bool, err error) {
	defer contain(&err)
	m, err := re.engine.FindStringMatch(s)
	if m == nil || err != nil {
		return "", false, re.explain(err)
	}
	return m.String(), true, nil
}

// ReplaceAllString replaces every match in s as Matcher.replaceAll does: $1 and
// ${name} stand for groups, and a backslash takes the next character's meaning away.
// A replacement that means nothing is a [*SyntaxError], but only when something
// matches, as in Java. The result is at most max bytes; a longer one, and a match
// that takes too long, are a [*LimitError].
func (re *Regexp) ReplaceAllString(s, replacement string, max int) (replaced string, err error) {
	defer contain(&err)
	began := time.Now()
	m, err := re.engine.FindStringMatch(s)
	if m == nil || err != nil {
		return s, re.explain(err)
	}
	parts, err := re.replacement(replacement)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	end := 0
	for m != nil {
		at, size := m.ByteRange()
		out.WriteString(s[end:at])
		for _, part := range parts {
			out.WriteString(part.text)
			if part.group >= 0 {
				out.WriteString(m.GroupByNumber(part.group).String())
			}
		}
		end = at + size
		if out.Len()+len(s)-end > max {
			return "", &LimitError{fmt.Sprintf("makes a text of more than %d bytes", max)}
		}
		if time.Since(began) > re.engine.MatchTimeout {
			return "", re.tooLong()
		}
		if m, err = re.engine.FindNextMatch(m); err != nil {
			return "", re.explain(err)
		}
	}
	out.WriteString(s[end:])
	return out.String(), nil
}

func (re *Regexp) tooLong() error {
	return &LimitError{fmt.Sprintf("ran for more than %v", re.engine.MatchTimeout)}
}

// explain words the engine's errors, which are of limits only.
func (re *Regexp) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, regexp2.ErrBacktrackingStackLimit):
		return &LimitError{fmt.Sprintf("needs more than %d places to go back to", maxStack)}
	}
	return re.tooLong()
}

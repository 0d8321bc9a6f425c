package logs

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxPattern is the longest filter pattern, in bytes: AWS's limit.
const maxPattern = 1024

// matcher decides whether a message is selected.
type matcher func(text string) bool

// parsePattern compiles a filter pattern (CloudWatch Logs user guide, filter
// pattern syntax): terms, or a JSON pattern in braces. Its error wraps
// [iot.ErrInvalid], for a space-delimited pattern [iot.ErrUnsupported].
func parsePattern(pattern string) (matcher, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the filter pattern has %d bytes; at most %d are taken: %w", len(pattern), maxPattern, iot.ErrInvalid)
	}
	pattern = strings.TrimSpace(pattern)
	switch {
	case pattern == "":
		return func(string) bool { return true }, nil
	case pattern[0] == '{':
		return parseJSONPattern(pattern)
	case pattern[0] == '[':
		return nil, fmt.Errorf("the filter pattern %s: space-delimited patterns are %w by Fieldline; use terms or a JSON pattern", pattern, iot.ErrUnsupported)
	default:
		return parseTerms(pattern)
	}
}

// terms selects by what a message contains. AWS ignores the optional terms when
// there are required or excluded ones.
type terms struct{ all, any, none []matcher }

func (t *terms) match(text string) bool {
	for _, m := range t.none {
		if m(text) {
			return false
		}
	}
	for _, m := range t.all {
		if !m(text) {
			return false
		}
	}
	if len(t.any) == 0 || len(t.all)+len(t.none) > 0 {
		return true
	}
	for _, m := range t.any {
		if m(text) {
			return true
		}
	}
	return false
}

func parseTerms(pattern string) (matcher, error) {
	var t terms
	for rest := pattern; rest != ""; rest = strings.TrimLeftFunc(rest, unicode.IsSpace) {
		into := &t.all
		switch rest[0] {
		case '?':
			into, rest = &t.any, rest[1:]
		case '-':
			into, rest = &t.none, rest[1:]
		}
		m, after, err := parseTerm(rest)
		if err != nil {
			return nil, err
		}
		*into = append(*into, m)
		rest = after
	}
	return t.match, nil
}

// parseTerm reads one term, phrase or regular expression and returns what is
// behind it.
func parseTerm(text string) (m matcher, rest string, err error) {
	switch {
	case strings.HasPrefix(text, `"`):
		phrase, rest, err := quoted(text)
		return func(text string) bool { return strings.Contains(text, phrase) }, rest, err
	case strings.HasPrefix(text, "%"):
		expression, rest, err := parseRegexp(text)
		if err != nil {
			return nil, "", err
		}
		return expression.MatchString, rest, nil
	}
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		end = len(text)
	}
	word := text[:end]
	if bad := strings.IndexFunc(word, func(r rune) bool { return !wordRune(r) }); bad >= 0 || word == "" {
		return nil, "", fmt.Errorf("invalid character(s) in term '%s': put it in double quotes: %w", word, iot.ErrInvalid)
	}
	return func(text string) bool { return strings.Contains(text, word) }, text[end:], nil
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted reads a text in double quotes, in which \ takes the next character as it
// is, and returns what is behind it.
func quoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '"':
			return b.String(), text[i+1:], nil
		case r == '\\' && i+1 < len(text):
			i++
			_, size = utf8.DecodeRuneInString(text[i:])
		}
		b.WriteString(text[i : i+size])
		i += size
	}
	return "", "", fmt.Errorf("the filter pattern has a double quote that is not closed: %w", iot.ErrInvalid)
}

// maxProgram bounds a regular expression, in instructions of its program: a step
// of matching may cost as many.
const maxProgram = 500

// parseRegexp reads a regular expression between percent signs. Go's engine takes
// time in proportion to the message times the expression's program.
func parseRegexp(text string) (expression *regexp.Regexp, rest string, err error) {
	end := strings.IndexByte(text[1:], '%')
	if end < 0 {
		return nil, "", fmt.Errorf("the filter pattern has a regular expression without its closing %%: %w", iot.ErrInvalid)
	}
	source := text[1 : end+1]
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, "", fmt.Errorf("the filter pattern: %w: %w", err, iot.ErrInvalid)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return nil, "", fmt.Errorf("the filter pattern: the regular expression %s is too large: %w", source, iot.ErrInvalid)
	}
	expression, err = regexp.Compile(source)
	return expression, text[end+2:], err
}

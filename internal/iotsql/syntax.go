package iotsql

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// SyntaxError reports where a statement or template stopped making sense. It
// wraps [iot.ErrUnsupported] when the construct exists on AWS but not here, and
// [iot.ErrInvalid] otherwise.
type SyntaxError struct {
	Offset      int    // byte offset into the text
	Want        string // what would have been accepted there
	Found       string // what stands there instead; "" when Want says it all
	Unsupported string // the construct that is refused, such as "get_dynamodb()"; "" when the text is wrong
	text        string // the whole statement or template
}

// Error says where and what in one line, such as `at 0: expected SELECT, found "SELEC"`.
func (e *SyntaxError) Error() string {
	if e.Unsupported != "" {
		return fmt.Sprintf("at %d: %s is not supported", e.Offset, e.Unsupported)
	}
	if e.Found == "" {
		return fmt.Sprintf("at %d: expected %s", e.Offset, e.Want)
	}
	return fmt.Sprintf("at %d: expected %s, found %s", e.Offset, e.Want, e.Found)
}

// Unwrap returns the sentinel that the error is a kind of.
func (e *SyntaxError) Unwrap() error {
	if e.Unsupported != "" {
		return iot.ErrUnsupported
	}
	return iot.ErrInvalid
}

// Caret returns the line of the text that the error is in, and below it a line
// with a caret under the offending byte. Of a long line it is what stands around it.
func (e *SyntaxError) Caret() string {
	const around = 72 // bytes to either side
	at := min(e.Offset, len(e.text))
	start := strings.LastIndexByte(e.text[:at], '\n') + 1
	line, _, _ := strings.Cut(e.text[start:], "\n")
	if end := at - start + around; end < len(line) {
		line = strings.ToValidUTF8(line[:end], "") + "…"
	}
	if from := at - start - around; from > 0 {
		before := strings.ToValidUTF8(e.text[start+from:at], "")
		line = "…" + before + line[at-start:]
		return line + "\n " + blank(before) + "^"
	}
	return line + "\n" + blank(e.text[start:at]) + "^"
}

// blank is a text of spaces as wide as s.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r // keeps the caret in its column
		}
		return ' '
	}, s)
}

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
// with a caret under the offending byte.
func (e *SyntaxError) Caret() string {
	at := min(e.Offset, len(e.text))
	start := strings.LastIndexByte(e.text[:at], '\n') + 1
	line, _, _ := strings.Cut(e.text[start:], "\n")
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r // keeps the caret in its column
		}
		return ' '
	}, e.text[start:at])
	return line + "\n" + pad + "^"
}

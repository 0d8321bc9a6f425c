package iotsql

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Template is a parsed substitution template: text with ${expression} in it. It
// is immutable and safe for concurrent use.
type Template struct {
	text string
}

// ParseTemplate reads a substitution template. Its expressions see the original
// payload and the functions of SELECT, never SELECT's aliases. Errors are as
// those of [Parse], with offsets into text.
func ParseTemplate(text, version string) (*Template, error) {
	return nil, fmt.Errorf("template: %w", iot.ErrUnsupported)
}

// Expand returns the text with every expression replaced by its value as a
// string; Undefined is the empty string. Errors are as those of [Statement.Eval].
func (t *Template) Expand(env *Env) (string, error) {
	return "", iot.ErrUnsupported
}

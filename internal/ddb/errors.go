package ddb

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// invalid is a refusal whose text is the whole message for the client.
type invalid string

func (e invalid) Error() string { return string(e) }
func (e invalid) Unwrap() error { return iot.ErrInvalid }

func invalidf(format string, args ...any) error { return invalid(fmt.Sprintf(format, args...)) }

// A ShapeError says that JSON is not shaped as an attribute value at all, such as
// a number where a string belongs. DynamoDB answers it with SerializationException
// and not ValidationException. It wraps [iot.ErrInvalid].
type ShapeError struct {
	Offset  int // byte offset into what was decoded
	Message string
}

func (e *ShapeError) Error() string { return e.Message }
func (e *ShapeError) Unwrap() error { return iot.ErrInvalid }

package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// request is one control request on its way to its operation.
type request struct {
	http      *http.Request
	id        string            // x-amzn-RequestId
	body      []byte            // whole
	accessKey string            // who signed it
	labels    map[string]string // of the path, unescaped
	query     url.Values
}

// readBody reads the whole body, of at most most bytes.
func (q *request) readBody(w http.ResponseWriter, most int64) (err error) {
	q.body, err = io.ReadAll(http.MaxBytesReader(w, q.http.Body, most))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return newFault(codeTooLarge, fmt.Sprintf("the body is larger than %d bytes", most))
	}
	if err != nil {
		return fmt.Errorf("reading the body: %w: %w", err, iot.ErrInvalid)
	}
	return nil
}

func (q *request) parseQuery() (err error) {
	if q.query, err = url.ParseQuery(q.http.URL.RawQuery); err != nil {
		return fmt.Errorf("the query string: %w: %w", err, iot.ErrInvalid)
	}
	return nil
}

// form returns the parameters of a query-protocol request, from the query
// string and the body; what does not parse is left out.
func (q *request) form() url.Values {
	form, _ := url.ParseQuery(string(q.body))
	if len(form) == 0 || form.Get("Action") == "" {
		form = q.http.URL.Query()
	}
	return form
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func (q *request) decode(v any) error {
	if len(q.body) == 0 {
		return nil
	}
	err := json.Unmarshal(q.body, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("member %q of the body is a %s, which does not fit: %w", wrong.Field, wrong.Value, iot.ErrInvalid)
	}
	if err != nil && !errors.Is(err, iot.ErrInvalid) {
		return fmt.Errorf("the body is not the JSON that was expected: %w: %w", err, iot.ErrInvalid)
	}
	return err
}

// integer reads an integer of the query string between low and high; absent
// gives when absent.
func (q *request) integer(member string, low, high, absent int) (int, error) {
	text := q.query.Get(member)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s=%q is not an integer: %w", member, text, iot.ErrInvalid)
	case n < low:
		return 0, unmet(member, text, fmt.Sprintf("have value greater than or equal to %d", low))
	case n > high:
		return 0, unmet(member, text, fmt.Sprintf("have value less than or equal to %d", high))
	}
	return n, nil
}

// boolean reads a boolean of the query string; absent is false.
func (q *request) boolean(member string) (bool, error) {
	text := q.query.Get(member)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s=%q is neither true nor false: %w", member, text, iot.ErrInvalid)
	}
	return b, nil
}

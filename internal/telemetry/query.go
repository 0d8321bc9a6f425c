package telemetry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits of one page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Query says what to fetch.
type Query struct {
	DeviceID string // "" for the latest items of all devices
	History  bool   // a page of history instead of the latest item
	From, To int64  // milliseconds since the epoch, half-open; To 0 means no end
	Limit    int    // items a page
	Desc     bool   // history from the newest on

	after    string          // continue the list of devices behind this one
	position *iot.HistoryPos // continue the history behind this reading
}

// cursor is where a page ended, as clients carry it.
type cursor struct {
	Device   string          `json:"d,omitempty"`
	Position *iot.HistoryPos `json:"p,omitempty"`
}

// ParameterError says which query parameter cannot be.
type ParameterError struct {
	Name, Value string
	Want        string
}

// Error names the parameter, its value and what was expected.
func (e *ParameterError) Error() string {
	return fmt.Sprintf("%s=%s: %s", e.Name, e.Value, e.Want)
}

// Unwrap makes a ParameterError an [iot.ErrInvalid].
func (e *ParameterError) Unwrap() error { return iot.ErrInvalid }

// ParseQuery reads the parameters of GET /iotdata: device_id, from, to, limit,
// cursor, order. An unusable one is a *[ParameterError].
func ParseQuery(values url.Values) (Query, error) {
	q := Query{DeviceID: values.Get("device_id"), Limit: DefaultLimit}
	q.History = q.DeviceID != "" && (values.Get("from") != "" || values.Get("to") != "")
	for _, parse := range []func(url.Values) error{q.parseRange, q.parseLimit, q.parseOrder, q.parseCursor} {
		if err := parse(values); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

func (q *Query) parseRange(values url.Values) (err error) {
	if q.From, err = parseMoment("from", values.Get("from")); err != nil {
		return err
	}
	if q.To, err = parseMoment("to", values.Get("to")); err != nil {
		return err
	}
	if (values.Get("from") != "" || values.Get("to") != "") && q.DeviceID == "" {
		return &ParameterError{"device_id", "", "history is that of one device: name it"}
	}
	return nil
}

func parseMoment(name, value string) (int64, error) {
	if value == "" {
		return 0, nil
	}
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil && ms >= 0 {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return 0, &ParameterError{name, value, "milliseconds since the epoch, or RFC 3339 such as 2026-11-23T08:00:00Z"}
	}
	return t.UnixMilli(), nil
}

func (q *Query) parseLimit(values url.Values) error {
	text := values.Get("limit")
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxLimit {
		return &ParameterError{"limit", text, fmt.Sprintf("a number from 1 to %d", MaxLimit)}
	}
	q.Limit = n
	return nil
}

func (q *Query) parseOrder(values url.Values) error {
	switch text := values.Get("order"); text {
	case "", "asc":
	case "desc":
		q.Desc = true
	default:
		return &ParameterError{"order", text, "asc or desc"}
	}
	return nil
}

func (q *Query) parseCursor(values url.Values) error {
	text := values.Get("cursor")
	if text == "" {
		return nil
	}
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || (c.Position != nil) != q.History || (c.Device != "") != (q.DeviceID == "") {
		return &ParameterError{"cursor", text, "the cursor of an earlier page of the same query"}
	}
	q.after, q.position = c.Device, c.Position
	return nil
}

func encodeCursor(c cursor) string {
	raw, _ := json.Marshal(c) // plain data always marshals
	return base64.RawURLEncoding.EncodeToString(raw)
}

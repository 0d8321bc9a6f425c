package apis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// functionAnswer is what a function of an HTTP API answers in full.
type functionAnswer struct {
	StatusCode      *statusCode           `json:"statusCode"`
	Headers         map[string]headerText `json:"headers"`
	MultiHeaders    map[string][]string   `json:"multiValueHeaders"`
	Cookies         []string              `json:"cookies"`
	Body            string                `json:"body"`
	IsBase64Encoded bool                  `json:"isBase64Encoded"`
}

// statusCode may be a number or, as functions often have it, a numeral.
type statusCode int

// UnmarshalJSON implements json.Unmarshaler.
func (c *statusCode) UnmarshalJSON(text []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(text), `"`))
	if err != nil || n < 200 || n > 599 {
		return fmt.Errorf("statusCode %s is not 200 to 599: %w", text, iot.ErrInvalid)
	}
	*c = statusCode(n)
	return nil
}

// headerText is a header's value, which may be a number or a boolean.
type headerText string

// UnmarshalJSON implements json.Unmarshaler.
func (h *headerText) UnmarshalJSON(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	switch v.(type) {
	case map[string]any, []any, nil:
		return fmt.Errorf("header value %s is no text: %w", text, iot.ErrInvalid)
	}
	*h = headerText(textOf(v))
	return nil
}

// answerCall writes what a function answered. Its error says that nothing was
// written, because the answer is none that a gateway understands.
func answerCall(w http.ResponseWriter, payload []byte, format string) error {
	answer, err := parseAnswer(payload, format)
	if err != nil {
		return err
	}
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			return fmt.Errorf("body is not base64: %w: %w", err, errFailed)
		}
	}
	if len(body) > maxPayload {
		return fmt.Errorf("the answer has %d bytes, at most %d: %w", len(body), maxPayload, errFailed)
	}
	writeHeaders(w.Header(), answer)
	w.WriteHeader(int(*answer.StatusCode))
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// parseAnswer reads a function's answer. In format 2.0 any JSON without a
// statusCode is the body of a 200; of a text, the text.
func parseAnswer(payload []byte, format string) (*functionAnswer, error) {
	var answer functionAnswer
	trimmed := bytes.TrimSpace(payload)
	if bytes.HasPrefix(trimmed, []byte("{")) {
		if err := json.Unmarshal(trimmed, &answer); err != nil {
			return nil, fmt.Errorf("the answer is none of an HTTP API: %w: %w", err, errFailed)
		}
		if answer.StatusCode != nil {
			return &answer, nil
		}
	}
	if format != "2.0" || !json.Valid(trimmed) {
		return nil, fmt.Errorf("the answer has no statusCode: %w", errFailed)
	}
	ok := statusCode(http.StatusOK)
	inferred := &functionAnswer{StatusCode: &ok, Body: string(trimmed), Headers: map[string]headerText{"Content-Type": "application/json"}}
	var text string
	if json.Unmarshal(trimmed, &text) == nil {
		inferred.Body = text
	}
	return inferred, nil
}

// ofTheGateway are headers of a function that the gateway answers for itself.
func ofTheGateway(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Keep-Alive", "Trailer", "Te":
		return true
	}
	return false
}

func writeHeaders(h http.Header, answer *functionAnswer) {
	for name, value := range answer.Headers {
		if !ofTheGateway(name) {
			h.Set(name, string(value))
		}
	}
	for name, values := range answer.MultiHeaders {
		if !ofTheGateway(name) {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	for _, cookie := range answer.Cookies {
		h.Add("Set-Cookie", cookie)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain;charset=UTF-8")
	}
}

package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
)

// members are the raw values of the members that matter of one JSON object; nil
// when absent. Of repeated members the last counts, as in every common parser.
type members struct {
	deviceID, ts, payload []byte
}

// topLevel finds the members of an object. Its input must be valid JSON; for
// anything but an object it returns none.
func topLevel(text []byte) (m members) {
	i := skipSpace(text, 0)
	if i >= len(text) || text[i] != '{' {
		return m
	}
	for i = skipSpace(text, i+1); text[i] != '}'; i = skipSpace(text, i) {
		if text[i] == ',' {
			i = skipSpace(text, i+1)
		}
		end := skipValue(text, i)
		key := text[i:end]
		i = skipSpace(text, end) + 1 // the colon
		i = skipSpace(text, i)
		end = skipValue(text, i)
		m.set(key, text[i:end])
		i = end
	}
	return m
}

func (m *members) set(key, value []byte) {
	if bytes.IndexByte(key, '\\') >= 0 {
		key, _ = json.Marshal(stringOf(key)) // a string always marshals
	}
	switch string(key) {
	case `"device_id"`:
		m.deviceID = value
	case `"ts"`:
		m.ts = value
	case `"payload"`:
		m.payload = value
	}
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index after the value that starts at i of valid JSON.
func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipNested(text, i)
	}
	for i < len(text) && strings.IndexByte(",}] \t\r\n", text[i]) < 0 {
		i++
	}
	return i
}

func skipString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipNested(text []byte, i int) int {
	for depth := 0; ; {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// stringOf decodes a valid JSON string.
func stringOf(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return strings.ToValidUTF8(string(raw[1:len(raw)-1]), "\uFFFD")
	}
	var s string
	_ = json.Unmarshal(raw, &s) // valid by the caller's promise
	return s
}

// isPlainString reports whether a value is this text as a JSON string without
// escapes.
func isPlainString(raw []byte, text string) bool {
	return text != "" && len(raw) == len(text)+2 && raw[0] == '"' &&
		string(raw[1:len(raw)-1]) == text && strings.IndexByte(text, '\\') < 0
}

// textOf returns a string's text or a number's digits, and "" for anything else.
func textOf(raw []byte) string {
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		return stringOf(raw)
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return string(raw)
	}
	return ""
}

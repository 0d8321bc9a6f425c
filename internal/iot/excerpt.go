package iot

import (
	"encoding/json"
	"unicode/utf8"
)

// MaxExcerpt is how many bytes of a payload or output an excerpt shows.
const MaxExcerpt = 32 << 10

// Excerpt is a payload, or the beginning of a long one, for people to look at. In
// JSON it is {"text":…} when it is UTF-8, {"binary":BASE64} otherwise.
type Excerpt struct {
	Bytes     []byte
	Truncated int // bytes left out at the end
}

// NewExcerpt copies the beginning of a payload.
func NewExcerpt(payload []byte) Excerpt {
	n := min(len(payload), MaxExcerpt)
	return Excerpt{Bytes: append([]byte(nil), payload[:n]...), Truncated: len(payload) - n}
}

type excerptJSON struct {
	Text      *string `json:"text,omitempty"`
	Binary    []byte  `json:"binary,omitempty"`
	Truncated int     `json:"truncated,omitempty"`
}

// MarshalJSON writes the excerpt as text where it is text. One that was cut off in
// the midst of a character is text too.
func (e Excerpt) MarshalJSON() ([]byte, error) {
	out := excerptJSON{Truncated: e.Truncated}
	text := e.Bytes
	for n := 0; e.Truncated > 0 && n < utf8.UTFMax && len(text) > 0 && !utf8.Valid(text); n++ {
		text = text[:len(text)-1]
	}
	if utf8.Valid(text) {
		whole := string(text)
		out.Text, out.Truncated = &whole, e.Truncated+len(e.Bytes)-len(text)
	} else {
		out.Binary = e.Bytes
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Excerpt) UnmarshalJSON(text []byte) error {
	var in excerptJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	e.Bytes, e.Truncated = in.Binary, in.Truncated
	if in.Text != nil {
		e.Bytes = []byte(*in.Text)
	}
	return nil
}

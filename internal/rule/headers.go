package rule

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// headersConfig are the MQTT 5 properties that a republish action gives the message
// (AWS IoT's MqttHeaders).
type headersConfig struct {
	PayloadFormatIndicator string         `json:"payloadFormatIndicator"`
	ContentType            string         `json:"contentType"`
	ResponseTopic          string         `json:"responseTopic"`
	CorrelationData        string         `json:"correlationData"` // base64
	MessageExpiry          string         `json:"messageExpiry"`   // seconds
	UserProperties         []userProperty `json:"userProperties"`
}

type userProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// headers are their templates; a nil one is not given.
type headers struct {
	format, contentType, responseTopic, correlation, expiry *iotsql.Template
	user                                                    []userTemplate
}

type userTemplate struct{ key, value *iotsql.Template }

// AWS's limits of user properties: of how many one action has, and of the bytes of
// all that a message carries.
const (
	maxUserProperties = 100
	maxUserBytes      = 8 << 10
)

func (b *builder) headers(c *headersConfig) (*headers, error) {
	h := new(headers)
	for _, field := range []struct {
		name, text string
		into       **iotsql.Template
	}{
		{"payloadFormatIndicator", c.PayloadFormatIndicator, &h.format},
		{"contentType", c.ContentType, &h.contentType},
		{"responseTopic", c.ResponseTopic, &h.responseTopic},
		{"correlationData", c.CorrelationData, &h.correlation},
		{"messageExpiry", c.MessageExpiry, &h.expiry},
	} {
		if field.text == "" {
			continue
		}
		var err error
		if *field.into, err = b.template(field.name, field.text); err != nil {
			return nil, err
		}
	}
	if len(c.UserProperties) > maxUserProperties {
		return nil, fmt.Errorf("%d userProperties, at most %d are allowed: %w", len(c.UserProperties), maxUserProperties, iot.ErrInvalid)
	}
	for _, p := range c.UserProperties {
		key, err := b.needed("userProperties key", p.Key)
		if err != nil {
			return nil, err
		}
		value, err := b.template("userProperties value", p.Value)
		if err != nil {
			return nil, err
		}
		h.user = append(h.user, userTemplate{key, value})
	}
	return h, nil
}

// expand returns the properties; one whose template gives an empty text is left out.
func (h *headers) expand(r *run) (*iot.Properties, error) {
	p := new(iot.Properties)
	for _, field := range []struct {
		name string
		from *iotsql.Template
		set  func(*iot.Properties, string) error
	}{
		{"payloadFormatIndicator", h.format, setFormat},
		{"contentType", h.contentType, func(p *iot.Properties, text string) error { p.ContentType = text; return nil }},
		{"responseTopic", h.responseTopic, setResponseTopic},
		{"correlationData", h.correlation, setCorrelation},
		{"messageExpiry", h.expiry, setExpiry},
	} {
		text, err := r.header(field.from)
		if err == nil && text != "" {
			err = field.set(p, text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	if p.PayloadFormat != nil && *p.PayloadFormat == 1 && !utf8.Valid(r.output) {
		return nil, fmt.Errorf("payloadFormatIndicator: the rule's output is not UTF-8: %w", iot.ErrInvalid)
	}
	var err error
	p.User, err = h.userProperties(r)
	return p, err
}

func (h *headers) userProperties(r *run) (list []iot.UserProperty, err error) {
	size := 0
	for _, of := range h.user {
		var p iot.UserProperty
		if p.Key, err = r.header(of.key); err == nil {
			p.Value, err = r.header(of.value)
		}
		if err != nil {
			return nil, fmt.Errorf("userProperties: %w", err)
		}
		if size += len(p.Key) + len(p.Value); size > maxUserBytes {
			return nil, fmt.Errorf("userProperties: more than %d bytes: %w", maxUserBytes, iot.ErrLimit)
		}
		list = append(list, p)
	}
	return list, nil
}

// header expands a template, which may be nil, to a string of MQTT (MQTT 5.0 §1.5.4).
func (r *run) header(t *iotsql.Template) (string, error) {
	if t == nil {
		return "", nil
	}
	text, err := t.Expand(&r.env)
	if err != nil {
		return "", err
	}
	if len(text) > math.MaxUint16 || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return "", fmt.Errorf("%d bytes, which are no string of MQTT: %w", len(text), iot.ErrInvalid)
	}
	return text, nil
}

func setFormat(p *iot.Properties, text string) error {
	switch text {
	case "UNSPECIFIED_BYTES", "0":
		p.PayloadFormat = new(byte(0))
	case "UTF8_DATA", "1":
		p.PayloadFormat = new(byte(1))
	default:
		return fmt.Errorf("%q is not UNSPECIFIED_BYTES or UTF8_DATA: %w", text, iot.ErrInvalid)
	}
	return nil
}

func setResponseTopic(p *iot.Properties, text string) error {
	if err := topic.ValidName(text); err != nil {
		return fmt.Errorf("%q: %w: %w", text, err, iot.ErrInvalid)
	}
	p.ResponseTopic = text
	return nil
}

func setCorrelation(p *iot.Properties, text string) (err error) {
	if p.CorrelationData, err = base64.StdEncoding.DecodeString(text); err != nil {
		return fmt.Errorf("%q is not base64: %w", text, iot.ErrInvalid)
	}
	return nil
}

func setExpiry(p *iot.Properties, text string) error {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no number of seconds: %w", text, iot.ErrInvalid)
	}
	p.MessageExpiry = new(uint32(seconds))
	return nil
}

package mqtt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// HTTPProperties reads the properties of a publish as AWS IoT's HTTPS publish
// spells them (AWS IoT API Reference, Publish): contentType, responseTopic and
// messageExpiry in the query, and the others in headers, which header returns by
// their name. It returns nil when there are none. Errors wrap [iot.ErrInvalid] and
// name the property.
func HTTPProperties(query url.Values, header func(name string) string) (*iot.Properties, error) {
	p := iot.Properties{ContentType: query.Get("contentType"), ResponseTopic: query.Get("responseTopic")}
	if err := checkText("contentType", p.ContentType); err != nil {
		return nil, err
	}
	if p.ResponseTopic != "" {
		if err := topic.ValidName(p.ResponseTopic); err != nil {
			return nil, fmt.Errorf("responseTopic %q: %w: %w", p.ResponseTopic, err, iot.ErrInvalid)
		}
	}
	for _, property := range []struct {
		text string
		read func(p *iot.Properties, text string) error
	}{
		{query.Get("messageExpiry"), readMessageExpiry},
		{header("x-amz-mqtt5-payload-format-indicator"), readPayloadFormat},
		{header("x-amz-mqtt5-correlation-data"), readCorrelationData},
		{header("x-amz-mqtt5-user-properties"), readUserProperties},
	} {
		if property.text == "" {
			continue
		}
		if err := property.read(&p, property.text); err != nil {
			return nil, err
		}
	}
	if p.ContentType == "" && p.ResponseTopic == "" && p.MessageExpiry == nil && p.PayloadFormat == nil &&
		p.CorrelationData == nil && p.User == nil {
		return nil, nil
	}
	return &p, nil
}

// checkText refuses what a string of MQTT cannot be [MQTT-1.5.4-1], [MQTT-1.5.4-2].
func checkText(name, text string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s %q is not UTF-8 without U+0000: %w", name, text, iot.ErrInvalid)
	}
	return nil
}

func readMessageExpiry(p *iot.Properties, text string) error {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("messageExpiry=%q is not a number of seconds below 2^32: %w", text, iot.ErrInvalid)
	}
	expiry := uint32(seconds)
	p.MessageExpiry = &expiry
	return nil
}

func readPayloadFormat(p *iot.Properties, text string) error {
	var format byte
	switch text {
	case "UNSPECIFIED_BYTES":
	case "UTF8_DATA":
		format = 1
	default:
		return fmt.Errorf("payloadFormatIndicator %q is neither UNSPECIFIED_BYTES nor UTF8_DATA: %w", text, iot.ErrInvalid)
	}
	p.PayloadFormat = &format
	return nil
}

func readCorrelationData(p *iot.Properties, text string) error {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("correlationData is not base64: %w", iot.ErrInvalid)
	}
	p.CorrelationData = data
	return nil
}

// readUserProperties reads a base64-encoded JSON array of objects, one pair each.
// botocore, given the array as text, sends it as a JSON text that holds JSON.
func readUserProperties(p *iot.Properties, text string) error {
	document, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("userProperties is not base64: %w", iot.ErrInvalid)
	}
	var pairs []map[string]string
	var inner string
	if json.Unmarshal(document, &inner) == nil {
		document = []byte(inner)
	}
	if err := json.Unmarshal(document, &pairs); err != nil {
		return fmt.Errorf(`userProperties is not a JSON array of objects of texts, such as [{"site":"7"}]: %w`, iot.ErrInvalid)
	}
	for _, pair := range pairs {
		for _, key := range slices.Sorted(maps.Keys(pair)) {
			if err := checkText("userProperties: "+key, key+pair[key]); err != nil {
				return err
			}
			p.User = append(p.User, iot.UserProperty{Key: key, Value: pair[key]})
		}
	}
	return nil
}

// HTTPUserProperties spells user properties as [HTTPProperties] reads them; "" when
// there are none.
func HTTPUserProperties(user []iot.UserProperty) string {
	if len(user) == 0 {
		return ""
	}
	pairs := make([]map[string]string, len(user))
	for i, u := range user {
		pairs[i] = map[string]string{u.Key: u.Value}
	}
	text, err := json.Marshal(pairs)
	if err != nil { // texts always encode
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}

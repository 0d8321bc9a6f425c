package awsapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// maxPayload is the largest payload of a message, in bytes.
const maxPayload = 128 << 10

func (a *API) iotDataOperations() []operation {
	return []operation{{"Publish", "POST", "/topics/{topic+}", 200, a.publish}}
}

// publish takes a message in the name of the access key, which may report for
// any device, and answers when its effects are durable.
func (a *API) publish(ctx context.Context, q *request) (any, error) {
	m := &iot.Message{Topic: q.labels["topic"], Payload: q.body, Origin: iot.Origin{
		Principal: q.accessKey, Protocol: iot.ProtocolHTTP, Arrived: a.cfg.Now(), Source: q.source(),
	}}
	if err := topic.ValidName(m.Topic); err != nil {
		return nil, fmt.Errorf("topic %q: %w: %w", m.Topic, err, iot.ErrInvalid)
	}
	if len(m.Payload) > maxPayload {
		return nil, newFault(codeTooLarge, fmt.Sprintf("the payload has %d bytes; at most %d are taken", len(m.Payload), maxPayload))
	}
	qos, err := q.integer("qos", 0, 1, 0)
	if err != nil {
		return nil, err
	}
	m.QoS = byte(qos)
	retain, err := q.boolean("retain")
	if err != nil {
		return nil, err
	}
	if retain {
		return nil, fmt.Errorf("retain=true: retained messages are %w by Fieldline", iot.ErrUnsupported)
	}
	if m.Properties, err = q.properties(); err != nil {
		return nil, err
	}
	return nil, a.cfg.Publish(ctx, m)
}

// source is the peer's address, the zero Addr when it is not known.
func (q *request) source() netip.Addr {
	peer, _ := netip.ParseAddrPort(q.http.RemoteAddr)
	return peer.Addr().Unmap()
}

// properties reads the MQTT 5 members of Publish; nil when there are none.
func (q *request) properties() (*iot.Properties, error) {
	p := iot.Properties{ContentType: q.query.Get("contentType"), ResponseTopic: q.query.Get("responseTopic")}
	if p.ResponseTopic != "" {
		if err := topic.ValidName(p.ResponseTopic); err != nil {
			return nil, fmt.Errorf("responseTopic %q: %w: %w", p.ResponseTopic, err, iot.ErrInvalid)
		}
	}
	err := errors.Join(q.messageExpiry(&p), q.payloadFormat(&p), q.correlationData(&p), q.userProperties(&p))
	if err != nil {
		return nil, err
	}
	if p.ContentType == "" && p.ResponseTopic == "" && p.MessageExpiry == nil && p.PayloadFormat == nil &&
		p.CorrelationData == nil && p.User == nil {
		return nil, nil
	}
	return &p, nil
}

func (q *request) messageExpiry(p *iot.Properties) error {
	text := q.query.Get("messageExpiry")
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("messageExpiry=%q is not a number of seconds below 2^32: %w", text, iot.ErrInvalid)
	}
	expiry := uint32(seconds)
	p.MessageExpiry = &expiry
	return nil
}

func (q *request) payloadFormat(p *iot.Properties) error {
	var format byte
	switch text := q.http.Header.Get("x-amz-mqtt5-payload-format-indicator"); text {
	case "":
		return nil
	case "UNSPECIFIED_BYTES":
	case "UTF8_DATA":
		format = 1
	default:
		return unmet("payloadFormatIndicator", text, "satisfy enum value set: [UNSPECIFIED_BYTES, UTF8_DATA]")
	}
	p.PayloadFormat = &format
	return nil
}

func (q *request) correlationData(p *iot.Properties) error {
	text := q.http.Header.Get("x-amz-mqtt5-correlation-data")
	if text == "" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("correlationData is not base64: %w", iot.ErrInvalid)
	}
	p.CorrelationData = data
	return nil
}

// userProperties reads a base64-encoded JSON array of objects, one pair each.
// botocore, given the array as text, sends it as a JSON text that holds JSON.
func (q *request) userProperties(p *iot.Properties) error {
	text := q.http.Header.Get("x-amz-mqtt5-user-properties")
	if text == "" {
		return nil
	}
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
			p.User = append(p.User, iot.UserProperty{Key: key, Value: pair[key]})
		}
	}
	return nil
}

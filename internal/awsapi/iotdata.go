package awsapi

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// maxPayload is the largest payload of a message, in bytes, unless
// [Config].MaxPayload says otherwise.
const maxPayload = 128 << 10

func (a *API) iotDataOperations() []operation {
	return []operation{
		{"Publish", "POST", "/topics/{topic+}", 200, a.publish},
		{"GetRetainedMessage", "GET", "/retainedMessage/{topic+}", 200, a.getRetainedMessage},
		{"ListRetainedMessages", "GET", "/retainedMessage", 200, a.listRetainedMessages},
		{"DeleteConnection", "DELETE", "/connections/{clientId}", 200, a.deleteConnection},
	}
}

// publish takes a message in the name of the access key, which may report for
// any device, and answers when its effects are durable.
func (a *API) publish(ctx context.Context, q *request) (any, error) {
	m := &iot.Message{Topic: q.labels["topic"], Payload: q.body, Origin: iot.Origin{
		Principal: q.accessKey, Protocol: iot.ProtocolHTTP, Arrived: a.cfg.Now(), Source: q.source(),
	}}
	if err := checkTopic(m.Topic); err != nil {
		return nil, err
	}
	if most := cmp.Or(a.cfg.MaxPayload, maxPayload); len(m.Payload) > most {
		return nil, newFault(codeTooLarge, fmt.Sprintf("the payload has %d bytes; at most %d are taken", len(m.Payload), most))
	}
	qos, err := q.integer("qos", 0, 1, 0)
	if err != nil {
		return nil, err
	}
	m.QoS = byte(qos)
	if m.Retain, err = q.boolean("retain"); err != nil {
		return nil, err
	}
	if m.Retain && m.Topic[0] == '$' {
		return nil, fmt.Errorf("topic %q: messages of topics that begin with $ are not retained: %w", m.Topic, iot.ErrInvalid)
	}
	if m.Properties, err = mqtt.HTTPProperties(q.query, q.http.Header.Get); err != nil {
		return nil, err
	}
	m.Rule, m.Topic = iot.BasicIngest(m.Topic)
	return nil, a.cfg.Publish(ctx, m)
}

// checkTopic refuses what is no topic, and the reserved ones that take no messages.
func checkTopic(name string) error {
	if err := topic.ValidName(name); err != nil {
		return fmt.Errorf("topic %q: %w: %w", name, err, iot.ErrInvalid)
	}
	return iot.CheckPublishTopic(name)
}

// source is the peer's address, the zero Addr when it is not known.
func (q *request) source() netip.Addr {
	peer, _ := netip.ParseAddrPort(q.http.RemoteAddr)
	return peer.Addr().Unmap()
}

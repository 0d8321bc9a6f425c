package compat

import (
	"fmt"
	"strings"

	"github.com/eclipse/paho.golang/packets"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// fields writes a packet's fields down. What is absent, and a property that says
// what its absence stands for, is left out.
type fields struct{ strings.Builder }

func (f *fields) add(name string, v any, absent any) {
	if v != absent {
		fmt.Fprintf(f, " %s=%q", name, fmt.Sprint(v))
	}
}

// number adds a pointer's value, where that is what the codec has.
func number[N byte | uint16 | uint32 | int](f *fields, name string, n *N) {
	if n != nil {
		fmt.Fprintf(f, " %s=%q", name, fmt.Sprint(*n))
	}
}

// numberUnless is number for a property whose absence stands for a value.
func numberUnless[N byte | uint16 | uint32 | int](f *fields, name string, n *N, absent N) {
	if n != nil && *n != absent {
		number(f, name, n)
	}
}

func (f *fields) user(pairs []iot.UserProperty) {
	for _, p := range pairs {
		fmt.Fprintf(f, " user=%q:%q", p.Key, p.Value)
	}
}

// message adds the properties that a message and a will have.
func (f *fields) message(p *iot.Properties) {
	if p == nil {
		return
	}
	number(f, "format", p.PayloadFormat)
	number(f, "expiry", p.MessageExpiry)
	f.add("type", p.ContentType, "")
	f.add("response", p.ResponseTopic, "")
	f.add("correlation", string(p.CorrelationData), "")
	f.user(p.User)
}

// ours5 writes down the fields of our packets.
func ours5(packet any) string {
	f := new(fields)
	switch p := packet.(type) {
	case *mqtt.Connect:
		fmt.Fprintf(f, "CONNECT %v %d %q %v %q %v %q", p.CleanStart, p.KeepAlive, p.ClientID, p.HasUsername, p.Username, p.HasPassword, p.Password)
		f.add("session", p.SessionExpiry, uint32(0))
		f.add("receive", p.ReceiveMaximum, uint16(65535))
		f.add("packet", p.MaximumPacketSize, uint32(0))
		f.add("aliases", p.TopicAliasMaximum, uint16(0))
		f.add("response", p.RequestResponse, false)
		f.add("problem", p.RequestProblem, true)
		f.add("method", p.AuthMethod, "")
		f.add("data", string(p.AuthData), "")
		f.user(p.User)
		if w := p.Will; w != nil {
			fmt.Fprintf(f, " will %q %q %d %v", w.Topic, w.Payload, w.QoS, w.Retain)
			f.add("delay", w.Delay, uint32(0))
			f.message(w.Properties)
		}
	case *mqtt.Connack:
		fmt.Fprintf(f, "CONNACK %v %d", p.SessionPresent, p.Code)
		oursConnack5(f, p)
	case *mqtt.Publish:
		fmt.Fprintf(f, "PUBLISH %v %d %v %q %d %q", p.Dup, p.QoS, p.Retain, p.Topic, p.PacketID, p.Payload)
		f.add("alias", p.TopicAlias, uint16(0))
		for _, id := range p.SubscriptionIDs {
			f.add("subscription", id, nil)
		}
		f.message(p.Properties)
	case *mqtt.Ack:
		fmt.Fprintf(f, "%v %d %d", p.Type, p.PacketID, p.Code)
		f.add("reason", p.ReasonString, "")
		f.user(p.User)
	case *mqtt.Subscribe:
		fmt.Fprintf(f, "SUBSCRIBE %d", p.PacketID)
		for _, s := range p.Filters {
			fmt.Fprintf(f, " %q %d %v %v %d", s.Filter, s.QoS, s.NoLocal, s.RetainAsPublished, s.RetainHandling)
		}
		f.add("subscription", p.SubscriptionID, uint32(0))
		f.user(p.User)
	case *mqtt.Suback:
		fmt.Fprintf(f, "SUBACK %d %d", p.PacketID, codes5(p.Codes))
		f.add("reason", p.ReasonString, "")
		f.user(p.User)
	case *mqtt.Unsubscribe:
		fmt.Fprintf(f, "UNSUBSCRIBE %d %q", p.PacketID, p.Filters)
		f.user(p.User)
	case *mqtt.Unsuback:
		fmt.Fprintf(f, "UNSUBACK %d %d", p.PacketID, codes5(p.Codes))
		f.add("reason", p.ReasonString, "")
		f.user(p.User)
	case *mqtt.Disconnect:
		fmt.Fprintf(f, "DISCONNECT %d", p.Code)
		number(f, "session", p.SessionExpiry)
		f.add("reason", p.ReasonString, "")
		f.add("reference", p.ServerReference, "")
		f.user(p.User)
	case *mqtt.Auth:
		fmt.Fprintf(f, "AUTH %d", p.Code)
		f.add("method", p.AuthMethod, "")
		f.add("data", string(p.AuthData), "")
		f.add("reason", p.ReasonString, "")
		f.user(p.User)
	}
	return f.String()
}

func oursConnack5(f *fields, p *mqtt.Connack) {
	number(f, "session", p.SessionExpiry)
	f.add("receive", p.ReceiveMaximum, uint16(65535))
	number(f, "qos", p.MaximumQoS)
	f.add("packet", p.MaximumPacketSize, uint32(0))
	f.add("assigned", p.AssignedClientID, "")
	f.add("aliases", p.TopicAliasMaximum, uint16(0))
	f.add("reason", p.ReasonString, "")
	number(f, "keepalive", p.ServerKeepAlive)
	f.add("no retain", p.NoRetain, false)
	f.add("no wildcards", p.NoWildcards, false)
	f.add("no identifiers", p.NoSubscriptionIDs, false)
	f.add("no shared", p.NoShared, false)
	f.add("response", p.ResponseInformation, "")
	f.add("reference", p.ServerReference, "")
	f.add("method", p.AuthMethod, "")
	f.add("data", string(p.AuthData), "")
	f.user(p.User)
}

func codes5(codes []mqtt.ReasonCode) []byte {
	all := make([]byte, len(codes))
	for i, code := range codes {
		all[i] = byte(code)
	}
	return all
}

// theirs5 writes down the fields of paho's packets in the same way.
func theirs5(packet *packets.ControlPacket) string {
	f := new(fields)
	ack := func(id uint16, code byte, p *packets.Properties) {
		fmt.Fprintf(f, "%v %d %d", mqtt.Type(packet.Type), id, code)
		f.add("reason", p.ReasonString, "")
		f.user(pahoUser(p))
	}
	switch p := packet.Content.(type) {
	case *packets.Connect:
		pahoConnect5(f, p)
	case *packets.Connack:
		fmt.Fprintf(f, "CONNACK %v %d", p.SessionPresent, p.ReasonCode)
		pahoConnack5(f, p.Properties)
	case *packets.Publish:
		fmt.Fprintf(f, "PUBLISH %v %d %v %q %d %q", p.Duplicate, p.QoS, p.Retain, p.Topic, p.PacketID, p.Payload)
		number(f, "alias", p.Properties.TopicAlias)
		number(f, "subscription", p.Properties.SubscriptionIdentifier)
		f.message(pahoMessage(p.Properties))
	case *packets.Puback:
		ack(p.PacketID, p.ReasonCode, p.Properties)
	case *packets.Pubrec:
		ack(p.PacketID, p.ReasonCode, p.Properties)
	case *packets.Pubrel:
		ack(p.PacketID, p.ReasonCode, p.Properties)
	case *packets.Pubcomp:
		ack(p.PacketID, p.ReasonCode, p.Properties)
	case *packets.Subscribe:
		fmt.Fprintf(f, "SUBSCRIBE %d", p.PacketID)
		for _, s := range p.Subscriptions {
			fmt.Fprintf(f, " %q %d %v %v %d", s.Topic, s.QoS, s.NoLocal, s.RetainAsPublished, s.RetainHandling)
		}
		number(f, "subscription", p.Properties.SubscriptionIdentifier)
		f.user(pahoUser(p.Properties))
	case *packets.Suback:
		fmt.Fprintf(f, "SUBACK %d %d", p.PacketID, p.Reasons)
		f.add("reason", p.Properties.ReasonString, "")
		f.user(pahoUser(p.Properties))
	case *packets.Unsubscribe:
		fmt.Fprintf(f, "UNSUBSCRIBE %d %q", p.PacketID, p.Topics)
		f.user(pahoUser(p.Properties))
	case *packets.Unsuback:
		fmt.Fprintf(f, "UNSUBACK %d %d", p.PacketID, p.Reasons)
		f.add("reason", p.Properties.ReasonString, "")
		f.user(pahoUser(p.Properties))
	case *packets.Disconnect:
		fmt.Fprintf(f, "DISCONNECT %d", p.ReasonCode)
		number(f, "session", p.Properties.SessionExpiryInterval)
		f.add("reason", p.Properties.ReasonString, "")
		f.add("reference", p.Properties.ServerReference, "")
		f.user(pahoUser(p.Properties))
	case *packets.Auth:
		fmt.Fprintf(f, "AUTH %d", p.ReasonCode)
		f.add("method", p.Properties.AuthMethod, "")
		f.add("data", string(p.Properties.AuthData), "")
		f.add("reason", p.Properties.ReasonString, "")
		f.user(pahoUser(p.Properties))
	}
	return f.String()
}

func pahoConnect5(f *fields, p *packets.Connect) {
	fmt.Fprintf(f, "CONNECT %v %d %q %v %q %v %q", p.CleanStart, p.KeepAlive, p.ClientID, p.UsernameFlag, p.Username, p.PasswordFlag, p.Password)
	numberUnless(f, "session", p.Properties.SessionExpiryInterval, 0)
	numberUnless(f, "receive", p.Properties.ReceiveMaximum, 65535)
	number(f, "packet", p.Properties.MaximumPacketSize)
	numberUnless(f, "aliases", p.Properties.TopicAliasMaximum, 0)
	f.add("response", is(p.Properties.RequestResponseInfo, 1), false)
	f.add("problem", !is(p.Properties.RequestProblemInfo, 0), true)
	f.add("method", p.Properties.AuthMethod, "")
	f.add("data", string(p.Properties.AuthData), "")
	f.user(pahoUser(p.Properties))
	if p.WillFlag {
		fmt.Fprintf(f, " will %q %q %d %v", p.WillTopic, p.WillMessage, p.WillQOS, p.WillRetain)
		numberUnless(f, "delay", p.WillProperties.WillDelayInterval, 0)
		f.message(pahoMessage(p.WillProperties))
	}
}

func pahoConnack5(f *fields, p *packets.Properties) {
	number(f, "session", p.SessionExpiryInterval)
	numberUnless(f, "receive", p.ReceiveMaximum, 65535)
	number(f, "qos", p.MaximumQOS)
	number(f, "packet", p.MaximumPacketSize)
	f.add("assigned", p.AssignedClientID, "")
	numberUnless(f, "aliases", p.TopicAliasMaximum, 0)
	f.add("reason", p.ReasonString, "")
	number(f, "keepalive", p.ServerKeepAlive)
	f.add("no retain", is(p.RetainAvailable, 0), false)
	f.add("no wildcards", is(p.WildcardSubAvailable, 0), false)
	f.add("no identifiers", is(p.SubIDAvailable, 0), false)
	f.add("no shared", is(p.SharedSubAvailable, 0), false)
	f.add("response", p.ResponseInfo, "")
	f.add("reference", p.ServerReference, "")
	f.add("method", p.AuthMethod, "")
	f.add("data", string(p.AuthData), "")
	f.user(pahoUser(p))
}

func is(n *byte, value byte) bool { return n != nil && *n == value }

func pahoMessage(p *packets.Properties) *iot.Properties {
	return &iot.Properties{
		PayloadFormat: p.PayloadFormat, MessageExpiry: p.MessageExpiry, ContentType: p.ContentType,
		ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData, User: pahoUser(p),
	}
}

func pahoUser(p *packets.Properties) []iot.UserProperty {
	var user []iot.UserProperty
	for _, u := range p.User {
		user = append(user, iot.UserProperty{Key: u.Key, Value: u.Value})
	}
	return user
}

package iotsql

import (
	"encoding/base64"
	"math"
	"strings"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// contextFunctions tell about the message and the rule.
func contextFunctions() []function {
	return []function{
		{name: "topic", max: 1, eval: topicName},
		{name: "timestamp", eval: func(st *state, _ []value) value {
			return integer(st.env.Message.Origin.Arrived.UnixMilli())
		}},
		{name: "clientid", eval: func(st *state, _ []value) value {
			return text(clientID(&st.env.Message.Origin))
		}},
		{name: "principal", eval: func(st *state, _ []value) value {
			who := st.env.Message.Origin.Principal
			return textOr(who, who != "")
		}},
		{name: "accountid", eval: func(st *state, _ []value) value { return text(st.env.Account.ID) }},
		{name: "sourceip", newer: true, eval: func(st *state, _ []value) value {
			source := st.env.Message.Origin.Source
			return textOr(source.String(), source.IsValid())
		}},
		{name: "traceid", eval: traceID},
		{name: "newuuid", eval: newUUID},
		{name: "sql_version", eval: func(st *state, _ []value) value { return text(st.version) }},
		{name: "get_mqtt_property", min: 1, max: 1, eval: mqttProperty},
		{name: "get_user_properties", max: 1, eval: userProperties},
	}
}

// topicName is the topic or one of its levels, counted from 1. What Basic Ingest
// puts before a topic, $aws/rules/<rule>/, does not count.
func topicName(st *state, args []value) value {
	name := st.env.Message.Topic
	if rest, ok := strings.CutPrefix(name, "$aws/rules/"); ok {
		_, name, _ = strings.Cut(rest, "/")
	}
	if len(args) == 0 {
		return text(name)
	}
	n, ok := st.toInt(args[0], indexRounding(args[0]))
	if !ok || !st.spendBytes(len(name)) {
		return value{}
	}
	nth := n.clamp(0, math.MaxInt32)
	for level := range strings.SplitSeq(name, "/") {
		if nth--; nth == 0 {
			return text(level)
		}
	}
	return value{}
}

// traceID is the id of the message's trace; senders outside MQTT have none.
func traceID(st *state, _ []value) value {
	if st.env.Trace == nil || st.env.Message.Origin.Protocol == iot.ProtocolHTTP {
		return value{}
	}
	id := st.env.Trace()
	return textOr(id, id != "")
}

func newUUID(st *state, _ []value) value {
	if st.env.NewUUID != nil {
		return text(st.env.NewUUID())
	}
	return text(uuid.NewString())
}

// mqttProperty is a property of an MQTT 5 PUBLISH; Undefined when it has none.
func mqttProperty(st *state, args []value) value {
	p := st.env.Message.Properties
	if p == nil || args[0].kind != kindText {
		return value{}
	}
	switch args[0].text {
	case "content_type":
		return textOr(p.ContentType, p.ContentType != "")
	case "response_topic":
		return textOr(p.ResponseTopic, p.ResponseTopic != "")
	case "correlation_data":
		return textOr(base64.StdEncoding.EncodeToString(p.CorrelationData), len(p.CorrelationData) > 0)
	case "format_indicator":
		return formatIndicator(p)
	}
	return value{}
}

// formatIndicator is the payload's format; a message with properties but not this
// one has unspecified bytes (MQTT 5, 3.3.2.3.2: absent is as 0).
func formatIndicator(p *iot.Properties) value {
	if p.PayloadFormat != nil && *p.PayloadFormat == 1 {
		return text("UTF8_DATA")
	}
	return text("UNSPECIFIED_BYTES")
}

// userProperties is all user properties as objects of one pair, or the values of
// one key; Undefined when there are none.
func userProperties(st *state, args []value) value {
	var pairs []iot.UserProperty
	if p := st.env.Message.Properties; p != nil {
		pairs = p.User
	}
	if !st.spend(memberUnits * len(pairs)) {
		return value{}
	}
	var found []value
	for _, pair := range pairs {
		if len(args) == 0 {
			found = append(found, object([]string{pair.Key}, []value{text(pair.Value)}))
		} else if args[0].kind == kindText && args[0].text == pair.Key {
			found = append(found, text(pair.Value))
		}
	}
	if found == nil {
		return value{}
	}
	return array(found)
}

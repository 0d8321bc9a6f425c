package broker

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// ways are how the broker goes about what MQTT leaves to a server, and where AWS
// IoT Core differs from MQTT: as Config.Strict and the limits say. Nothing of it
// changes. The differences are those of the AWS IoT developer guide, "AWS IoT
// differences from MQTT specifications". Errors are *[mqtt.Error].
type ways struct {
	strict bool
	limits Limits
}

// quota is where a limit comes from, for the texts of refusals.
func (w *ways) quota() string {
	if w.strict {
		return "a quota of AWS IoT, by --aws-strict"
	}
	return "a limit of this server"
}

// checkClientID refuses the identifiers that clients may not have. The empty one
// passes: the broker assigns another [MQTT-3.1.3-6].
func (w *ways) checkClientID(id string) error {
	var reason string
	switch {
	case len(id) > w.limits.ClientID:
		reason = fmt.Sprintf("the client identifier has %d bytes, more than %d (%s)", len(id), w.limits.ClientID, w.quota())
	case strings.HasPrefix(id, "$"):
		reason = "the client identifier begins with $"
	case strings.ContainsRune(id, 0):
		reason = "the client identifier contains U+0000"
	default:
		return nil
	}
	return &mqtt.Error{Code: mqtt.ClientIdentifierNotValid, Reason: reason}
}

// keepAlive is what a client gets that asks for a keep-alive, in seconds; 0 is
// none. MQTT 5 is told of another one than it asked for [MQTT-3.2.2-22].
func (w *ways) keepAlive(asked uint16) (granted uint16) {
	least, most := w.limits.KeepAliveMin, w.limits.KeepAliveMax
	switch {
	case most > 0 && (asked == 0 || asked > most):
		return most
	case asked > 0 && asked < least:
		return least
	}
	return asked
}

// announce tells in a CONNACK what the broker does and takes.
func (w *ways) announce(c *mqtt.Connack) {
	c.ReceiveMaximum = uint16(w.limits.InFlight)
	c.MaximumPacketSize = uint32(w.limits.Payload + headerRoom)
	c.TopicAliasMaximum = uint16(w.limits.TopicAliases)
	if w.strict {
		atMost := byte(1)
		c.MaximumQoS = &atMost
		c.NoSubscriptionIDs = true
	}
}

// maximumQoS is the highest QoS of a publish, a will and a granted subscription.
func (w *ways) maximumQoS() byte {
	if w.strict {
		return 1
	}
	return 2
}

// checkQoS refuses a publish, or a will, of a QoS that the broker does not have
// [MQTT-3.2.2-11].
func (w *ways) checkQoS(qos byte) error {
	if most := w.maximumQoS(); qos > most {
		return &mqtt.Error{Code: mqtt.QoSNotSupported, Reason: fmt.Sprintf("QoS %d is not supported by AWS IoT, nor with --aws-strict: use QoS 1 [MQTT-3.2.2-11]", qos)}
	}
	return nil
}

// checkSubscribe refuses a SUBSCRIBE as a whole, which ends the connection.
func (w *ways) checkSubscribe(filters int, identifier uint32) error {
	if w.strict && identifier != 0 {
		return &mqtt.Error{Code: mqtt.SubscriptionIdentifiersNotSupported, Reason: "subscription identifiers are not supported by AWS IoT, nor with --aws-strict"}
	}
	return w.checkFilters("SUBSCRIBE", filters)
}

// checkUnsubscribe refuses an UNSUBSCRIBE as a whole, which ends the connection.
func (w *ways) checkUnsubscribe(filters int) error { return w.checkFilters("UNSUBSCRIBE", filters) }

func (w *ways) checkFilters(packet string, n int) error {
	if n > w.limits.Filters {
		return &mqtt.Error{Code: mqtt.QuotaExceeded, Reason: fmt.Sprintf("the %s has %d filters, more than %d (%s)", packet, n, w.limits.Filters, w.quota())}
	}
	return nil
}

// checkTopic refuses a topic that is too long or deep. What Basic Ingest puts
// before it does not count.
func (w *ways) checkTopic(name string) error {
	_, own := iot.BasicIngest(name)
	if reason := w.oversize("topic", own); reason != "" {
		return &mqtt.Error{Code: mqtt.TopicNameInvalid, Reason: reason}
	}
	return nil
}

// checkFilter refuses a filter, without $share/NAME/, that is too long or deep.
func (w *ways) checkFilter(filter string) error {
	if reason := w.oversize("filter", filter); reason != "" {
		return &mqtt.Error{Code: mqtt.QuotaExceeded, Reason: reason}
	}
	return nil
}

// maxShareName is the longest name of a shared subscription, in characters, that
// AWS IoT takes.
const maxShareName = 128

// checkShareName refuses the name of a shared subscription that AWS IoT does not
// take. That it is well formed has been seen to [MQTT-4.8.2-1].
func (w *ways) checkShareName(name string) error {
	if w.strict && len([]rune(name)) > maxShareName {
		return &mqtt.Error{Code: mqtt.TopicFilterInvalid, Reason: fmt.Sprintf("the name of the shared subscription has more than %d characters (%s)", maxShareName, w.quota())}
	}
	return nil
}

func (w *ways) oversize(noun, text string) string {
	if len(text) > w.limits.Topic {
		return fmt.Sprintf("the %s has %d bytes, more than %d (%s)", noun, len(text), w.limits.Topic, w.quota())
	}
	if levels := strings.Count(text, "/") + 1; levels > w.limits.Levels {
		return fmt.Sprintf("the %s has %d levels, more than %d (%s)", noun, levels, w.limits.Levels, w.quota())
	}
	return ""
}

// sendsRetained reports whether a new subscription gets the retained messages of
// its topics: a shared one never does (MQTT 5.0 §3.8.4), and of AWS IoT one with
// wildcards does not either.
func (w *ways) sendsRetained(filter string, shared bool) bool {
	return !shared && !(w.strict && strings.ContainsAny(filter, "+#"))
}

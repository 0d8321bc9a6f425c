package iot

import (
	"fmt"
	"strings"
)

// basicIngest is what topics of Basic Ingest begin with.
const basicIngest = "$aws/rules/"

// BasicIngest splits a topic of Basic Ingest, $aws/rules/RULE/TOPIC, into the rule
// and what the rule sees as the topic, "" when nothing follows the rule's name.
// rule is "" for every other topic, which comes back as it is (AWS IoT developer
// guide, Basic Ingest). The results share the topic's bytes.
func BasicIngest(topic string) (rule, rest string) {
	path, ok := strings.CutPrefix(topic, basicIngest)
	if !ok {
		return "", topic
	}
	rule, rest, _ = strings.Cut(path, "/")
	if !ValidRuleName(rule) {
		return "", topic
	}
	return rule, rest
}

// PublishedTopic is the topic that the message was published to, that of Basic
// Ingest included.
func (m *Message) PublishedTopic() string {
	switch {
	case m.Rule == "":
		return m.Topic
	case m.Topic == "":
		return basicIngest + m.Rule
	}
	return basicIngest + m.Rule + "/" + m.Topic
}

// ValidRuleName reports whether a rule could have the name.
func ValidRuleName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// CheckPublishTopic returns an error wrapping [ErrDenied] for topics that begin with
// $ and take no messages from clients, and one wrapping [ErrUnsupported] for those
// of features that AWS IoT has and Fieldline has not (AWS IoT developer guide,
// Reserved topics).
func CheckPublishTopic(topic string) error {
	if !strings.HasPrefix(topic, "$") {
		return nil
	}
	if rule, _ := BasicIngest(topic); rule != "" {
		return nil
	}
	if err := lacking(topic); err != nil {
		return err
	}
	why := "topics that begin with $ are reserved, and this one takes no messages"
	switch {
	case strings.HasPrefix(topic, basicIngest):
		why = "Basic Ingest is $aws/rules/RULE/TOPIC, and a rule's name is made of letters, digits and _"
	case strings.HasPrefix(topic, "$aws/events/"):
		why = "only the server publishes events"
	}
	return fmt.Errorf("topic %q: %s: %w", topic, why, ErrDenied)
}

// CheckSubscribeFilter returns an error wrapping [ErrDenied] for filters of Basic
// Ingest, whose messages no subscriber gets, and one wrapping [ErrUnsupported] for
// those of features that Fieldline lacks, where nothing would ever come. The filter
// comes without $share/NAME/.
func CheckSubscribeFilter(filter string) error {
	if !strings.HasPrefix(filter, "$aws/") {
		return nil
	}
	if strings.HasPrefix(filter, basicIngest) {
		return fmt.Errorf("filter %q: what is published to $aws/rules goes to its rule only, never to subscribers: %w", filter, ErrDenied)
	}
	return lacking(filter)
}

// lacking refuses the topics and filters of what Fieldline does not have, by name.
func lacking(topic string) error {
	if feature := featureOf(topic); feature != "" {
		return fmt.Errorf("topic %q: %s is %w by Fieldline", topic, feature, ErrUnsupported)
	}
	return nil
}

// featureOf names the feature of AWS IoT that a reserved topic belongs to; "" for
// those that Fieldline has and those that AWS has not.
func featureOf(topic string) string {
	path, ok := strings.CutPrefix(topic, "$aws/")
	if !ok {
		return ""
	}
	kind, path, _ := strings.Cut(path, "/")
	switch kind {
	case "certificates", "provisioning-templates":
		return "fleet provisioning"
	case "device_location":
		return "device location"
	case "sitewise":
		return "AWS IoT SiteWise"
	case "commands":
		return "remote commands"
	case "things":
		_, path, _ = strings.Cut(path, "/")
		kind, _, _ = strings.Cut(path, "/")
		switch kind {
		case "shadow":
			return "the Device Shadow"
		case "jobs":
			return "AWS IoT Jobs"
		case "defender":
			return "Device Defender"
		case "streams":
			return "MQTT-based file delivery"
		case "tunnels":
			return "secure tunneling"
		}
	}
	return ""
}

package iot

import (
	"errors"
	"strings"
	"testing"
)

func TestBasicIngestTopics(t *testing.T) {
	tests := []struct{ name, topic, rule, rest string }{
		{"a rule and a topic", "$aws/rules/SendToLambdaRule/sensor/data", "SendToLambdaRule", "sensor/data"},
		{"a rule alone", "$aws/rules/R", "R", ""},
		{"a rule and a slash", "$aws/rules/R/", "R", ""},
		{"a topic with an empty first level", "$aws/rules/R//x", "R", "/x"},
		{"no rule", "$aws/rules/", "", "$aws/rules/"},
		{"a name that no rule has", "$aws/rules/a-b/x", "", "$aws/rules/a-b/x"},
		{"a name that is too long", "$aws/rules/" + strings.Repeat("r", 129), "", "$aws/rules/" + strings.Repeat("r", 129)},
		{"another topic", "sensor/data", "", "sensor/data"},
		{"the prefix in the middle", "a/$aws/rules/R/x", "", "a/$aws/rules/R/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if rule, rest := BasicIngest(tt.topic); rule != tt.rule || rest != tt.rest {
				t.Errorf("BasicIngest(%q) = %q, %q, want %q, %q", tt.topic, rule, rest, tt.rule, tt.rest)
			}
		})
	}
}

func TestReservedTopics(t *testing.T) {
	tests := []struct {
		topic              string
		publish, subscribe error
		says               string // in each of the errors
	}{
		{"sensor/data", nil, nil, ""},
		{"a/$aws/x", nil, nil, ""},
		{"$aws/rules/R/x", nil, ErrDenied, "its rule only"},
		{"$aws/rules/a-b/x", ErrDenied, ErrDenied, "ule"},
		{"$aws/events/presence/connected/c", ErrDenied, nil, "only the server publishes events"},
		{"$SYS/broker/load", ErrDenied, nil, "reserved"},
		{"$own/topic", ErrDenied, nil, "reserved"},
		{"$aws/things/T/shadow/update", ErrUnsupported, ErrUnsupported, "Device Shadow"},
		{"$aws/things/T/jobs/get", ErrUnsupported, ErrUnsupported, "Jobs"},
		{"$aws/things/T/defender/metrics/json", ErrUnsupported, ErrUnsupported, "Device Defender"},
		{"$aws/things/T/streams/s/get/json", ErrUnsupported, ErrUnsupported, "file delivery"},
		{"$aws/certificates/create/json", ErrUnsupported, ErrUnsupported, "fleet provisioning"},
		{"$aws/provisioning-templates/t/provision/json", ErrUnsupported, ErrUnsupported, "fleet provisioning"},
	}
	for _, tt := range tests {
		t.Run(tt.topic, func(t *testing.T) {
			for _, check := range []struct {
				err, want error
			}{{CheckPublishTopic(tt.topic), tt.publish}, {CheckSubscribeFilter(tt.topic), tt.subscribe}} {
				if !errors.Is(check.err, check.want) || (check.err == nil) != (check.want == nil) {
					t.Errorf("got %v, want %v", check.err, check.want)
				}
				if check.err != nil && (!strings.Contains(check.err.Error(), tt.says) || !strings.Contains(check.err.Error(), tt.topic)) {
					t.Errorf("%q does not say %q", check.err, tt.says)
				}
			}
		})
	}
	if err := CheckSubscribeFilter("$aws/#"); err != nil {
		t.Errorf("$aws/# may match events, but: %v", err)
	}
}

// FuzzBasicIngest checks that the parts of a topic make it up again, and that only
// what could be a rule is taken for one.
func FuzzBasicIngest(f *testing.F) {
	f.Add("$aws/rules/R/a/b")
	f.Add("$aws/rules/R")
	f.Add("a/b")
	f.Fuzz(func(t *testing.T, topic string) {
		rule, rest := BasicIngest(topic)
		switch {
		case rule == "" && rest != topic:
			t.Errorf("%q becomes %q", topic, rest)
		case rule != "" && topic != "$aws/rules/"+rule+"/"+rest && topic != "$aws/rules/"+rule:
			t.Errorf("%q is taken apart into %q and %q", topic, rule, rest)
		case strings.ContainsAny(rule, "/+#$- "):
			t.Errorf("rule %q", rule)
		}
		if err := CheckPublishTopic(topic); rule != "" && err != nil {
			t.Errorf("%q is refused: %v", topic, err)
		}
	})
}

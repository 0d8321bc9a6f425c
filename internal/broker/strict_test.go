package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// bothWays are those of the standard and those of AWS.
func bothWays() (standard, aws *ways) {
	return &ways{limits: DefaultLimits()}, &ways{strict: true, limits: AWSLimits()}
}

func TestLimitsAtTheirEdges(t *testing.T) {
	standard, aws := bothWays()
	levels := func(n int) string { return strings.Repeat("l/", n-1) + "l" }
	clientID := func(w *ways, s string) error { return w.checkClientID(s) }
	topicOf := func(w *ways, s string) error { return w.checkTopic(s) }
	filter := func(w *ways, s string) error { return w.checkFilter(s) }
	share := func(w *ways, s string) error { return w.checkShareName(s) }
	tests := []struct {
		name     string
		ways     *ways
		check    func(*ways, string) error
		in       string
		refusal  mqtt.ReasonCode // 0: none
		mentions string
	}{
		{"no client id", aws, clientID, "", 0, ""},
		{"a client id of AWS's length", aws, clientID, strings.Repeat("c", 128), 0, ""},
		{"a byte more", aws, clientID, strings.Repeat("c", 129), mqtt.ClientIdentifierNotValid, "quota of AWS IoT"},
		{"a byte more, without strict", standard, clientID, strings.Repeat("c", 129), 0, ""},
		{"a client id beyond the default", standard, clientID, strings.Repeat("c", 1025), mqtt.ClientIdentifierNotValid, "1025 bytes"},
		{"a client id that begins with $", standard, clientID, "$c", mqtt.ClientIdentifierNotValid, "$"},
		{"a client id with U+0000", standard, clientID, "a\x00", mqtt.ClientIdentifierNotValid, "U+0000"},
		{"a topic of AWS's length", aws, topicOf, strings.Repeat("t", 256), 0, ""},
		{"a longer topic", aws, topicOf, strings.Repeat("t", 257), mqtt.TopicNameInvalid, "more than 256"},
		{"a longer topic, without strict", standard, topicOf, strings.Repeat("t", 65535), 0, ""},
		{"seven slashes", aws, topicOf, levels(8), 0, ""},
		{"eight slashes", aws, topicOf, levels(9), mqtt.TopicNameInvalid, "more than 8"},
		{"eight slashes, without strict", standard, topicOf, levels(9), 0, ""},
		{"128 levels", standard, topicOf, levels(128), 0, ""},
		{"129 levels", standard, topicOf, levels(129), mqtt.TopicNameInvalid, "129 levels"},
		{"Basic Ingest with seven slashes of its own", aws, topicOf, "$aws/rules/R/" + levels(8), 0, ""},
		{"Basic Ingest with eight", aws, topicOf, "$aws/rules/R/" + levels(9), mqtt.TopicNameInvalid, "9 levels"},
		{"a filter of eight levels", aws, filter, levels(7) + "/#", 0, ""},
		{"a filter of nine levels", aws, filter, levels(8) + "/#", mqtt.QuotaExceeded, "9 levels"},
		{"a long filter", aws, filter, strings.Repeat("f", 257), mqtt.QuotaExceeded, "257 bytes"},
		{"a share name of AWS's length", aws, share, strings.Repeat("ü", 128), 0, ""},
		{"a longer one", aws, share, strings.Repeat("ü", 129), mqtt.TopicFilterInvalid, "128 characters"},
		{"a longer one, without strict", standard, share, strings.Repeat("ü", 129), 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkRefusal(t, tt.check(tt.ways, tt.in), tt.refusal, tt.mentions) })
	}
}

// checkRefusal wants an error of a code, 0 for none, whose text mentions something.
func checkRefusal(t *testing.T, err error, code mqtt.ReasonCode, mentions string) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	told, ok := errors.AsType[*mqtt.Error](err)
	if !ok || told.Code != code || !strings.Contains(told.Reason, mentions) {
		t.Errorf("got %v, want code %v and %q", err, code, mentions)
	}
}

func TestWhatAWSDoesNotDo(t *testing.T) {
	standard, aws := bothWays()
	checkRefusal(t, standard.checkQoS(2), 0, "")
	checkRefusal(t, aws.checkQoS(1), 0, "")
	checkRefusal(t, aws.checkQoS(2), mqtt.QoSNotSupported, "QoS 2")
	checkRefusal(t, standard.checkSubscribe(1000, 7), 0, "")
	checkRefusal(t, standard.checkSubscribe(1001, 0), mqtt.QuotaExceeded, "1001 filters")
	checkRefusal(t, aws.checkSubscribe(8, 0), 0, "")
	checkRefusal(t, aws.checkSubscribe(9, 0), mqtt.QuotaExceeded, "9 filters")
	checkRefusal(t, aws.checkSubscribe(1, 7), mqtt.SubscriptionIdentifiersNotSupported, "--aws-strict")
	checkRefusal(t, aws.checkUnsubscribe(9), mqtt.QuotaExceeded, "UNSUBSCRIBE")
	if standard.maximumQoS() != 2 || aws.maximumQoS() != 1 {
		t.Error("wrong maximum QoS")
	}
}

func TestRetainedMessagesForNewSubscriptions(t *testing.T) {
	standard, aws := bothWays()
	tests := []struct {
		filter        string
		shared        bool
		standard, aws bool
	}{
		{"a/b", false, true, true},
		{"a/+", false, true, false},
		{"a/#", false, true, false},
		{"a/b", true, false, false},
	}
	for _, tt := range tests {
		if standard.sendsRetained(tt.filter, tt.shared) != tt.standard || aws.sendsRetained(tt.filter, tt.shared) != tt.aws {
			t.Errorf("%s, shared %v: want %v by the standard and %v by AWS", tt.filter, tt.shared, tt.standard, tt.aws)
		}
	}
}

func TestKeepAliveIsClamped(t *testing.T) {
	standard, aws := bothWays()
	bounded := &ways{limits: Limits{KeepAliveMin: 10}}
	tests := []struct {
		name        string
		ways        *ways
		asked, want uint16
	}{
		{"none stays none by the standard", standard, 0, 0},
		{"any is granted by the standard", standard, 65535, 65535},
		{"none becomes AWS's most", aws, 0, 1200},
		{"less than AWS's least", aws, 29, 30},
		{"AWS's least", aws, 30, 30},
		{"AWS's most", aws, 1200, 1200},
		{"more than AWS's most", aws, 1201, 1200},
		{"a least alone leaves none as it is", bounded, 0, 0},
		{"a least alone raises", bounded, 9, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.ways.keepAlive(tt.asked); got != tt.want {
				t.Errorf("asked for %d, granted %d, want %d", tt.asked, got, tt.want)
			}
		})
	}
}

func TestConnackAnnouncesTheWays(t *testing.T) {
	standard, aws := bothWays()
	var c mqtt.Connack
	standard.announce(&c)
	if c.MaximumQoS != nil || c.NoSubscriptionIDs || c.NoRetain || c.NoShared || c.ReceiveMaximum != 100 || c.TopicAliasMaximum != 8 || c.MaximumPacketSize != 136<<10 {
		t.Errorf("by the standard: %+v", c)
	}
	c = mqtt.Connack{}
	aws.announce(&c)
	if c.MaximumQoS == nil || *c.MaximumQoS != 1 || !c.NoSubscriptionIDs || c.NoRetain || c.NoShared || c.NoWildcards {
		t.Errorf("by AWS: %+v", c)
	}
}

func TestLimitsTakeThePreset(t *testing.T) {
	own := Limits{Payload: 1000, PublishRate: -1}
	lenient, strict := own, own
	lenient.setDefaults(false)
	strict.setDefaults(true)
	want := DefaultLimits()
	want.Payload, want.PublishRate = 1000, -1
	if lenient != want {
		t.Errorf("defaults give %+v", lenient)
	}
	want = AWSLimits()
	want.Payload, want.PublishRate = 1000, -1
	if strict != want {
		t.Errorf("AWS's give %+v", strict)
	}
	for _, preset := range []Limits{DefaultLimits(), AWSLimits(), {}, {SessionExpiry: -1}, {SessionExpiry: maxSessionExpiry}} {
		if err := preset.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name string
		l    Limits
	}{
		{"Payload", Limits{Payload: -1}},
		{"ClientID", Limits{ClientID: 65536}},
		{"Topic", Limits{Topic: 65536}},
		{"SessionExpiry", Limits{SessionExpiry: time.Millisecond}},
		{"SessionExpiry", Limits{SessionExpiry: maxSessionExpiry + time.Second}},
		{"KeepAliveMin", Limits{KeepAliveMin: 100, KeepAliveMax: 99}},
		{"PublishRate", Limits{PublishRate: 1<<30 + 1}},
		{"QueuedBytes", Limits{QueuedBytes: -5}},
	} {
		if err := tt.l.Validate(); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), tt.name) {
			t.Errorf("%+v: %v, want an error about %s", tt.l, err, tt.name)
		}
	}
}

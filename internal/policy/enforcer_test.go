package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

var account = iot.Account{Region: "us-east-1", ID: "123456789012"}

// fakeSource is a registry in memory.
type fakeSource struct {
	generation atomic.Uint64
	reads      atomic.Int64
	policiesOf func(certificateID string) ([]iot.Policy, error)
	policy     func(name string) (iot.Policy, error)
}

func (f *fakeSource) Generation() uint64 { return f.generation.Load() }

func (f *fakeSource) PoliciesOf(id string) ([]iot.Policy, error) {
	f.reads.Add(1)
	return f.policiesOf(id)
}

func (f *fakeSource) Policy(name string) (iot.Policy, error) {
	f.reads.Add(1)
	return f.policy(name)
}

// policies names documents P0, P1, ….
func policies(documents ...string) []iot.Policy {
	var all []iot.Policy
	for i, d := range documents {
		all = append(all, iot.Policy{
			Name:     "P" + strconv.Itoa(i),
			Versions: []iot.PolicyVersion{{ID: "1", Document: d, Default: true}},
		})
	}
	return all
}

// attached returns an enforcer under which every certificate has the documents.
func attached(documents ...string) *Enforcer {
	return NewEnforcer(&fakeSource{
		policiesOf: func(string) ([]iot.Policy, error) { return policies(documents...), nil },
	}, account)
}

// device is a client that connects properly: as its thing, with its certificate.
func device(name string) *iot.Principal {
	return &iot.Principal{
		ClientID:    name,
		Certificate: &iot.Certificate{ID: "c0ffee", Serial: "4711", Subject: map[string][]string{}},
		Thing:       &iot.Thing{Name: name, Type: "meter", Attributes: map[string]string{"site": "oslo", "level": "7"}},
		Attached:    true,
		Source:      netip.MustParseAddr("203.0.113.9"),
	}
}

// statements wraps statements in a document; ARN: stands for the account's prefix.
func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` +
		strings.ReplaceAll(strings.Join(list, ","), "ARN:", account.ARN("iot", "")) + `]}`
}

func TestAuthorize(t *testing.T) {
	const (
		publishA  = `{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/a"}`
		allowAll  = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		ownThing  = `{"Effect":"Allow","Action":"iot:Connect","Resource":"ARN:client/${iot:Connection.Thing.ThingName}"}`
		ownFilter = `{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/my/${iot:ClientId}/topic"}`
	)
	pattern := func(resource string) string {
		return statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":"` + resource + `"}`)
	}
	thingless := func(p *iot.Principal) { p.Thing, p.Attached = nil, false }
	tests := []struct {
		name     string
		document string
		act      Action
		on       string
		change   func(*iot.Principal)
		want     bool
	}{
		{"nothing allows: denied", statements(publishA), Publish, "b", nil, false},
		{"the guide's policy allows what it lists", statements(`{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:Receive"],"Resource":["*"]}`), Subscribe, "sensor/#", nil, true},
		{"the guide's policy allows nothing else", statements(`{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:Receive"],"Resource":["*"]}`), RetainPublish, "a", nil, false},
		{"deny wins over an allow before it", statements(allowAll, `{"Effect":"Deny","Action":"iot:Publish","Resource":"ARN:topic/a"}`), Publish, "a", nil, false},
		{"deny wins over an allow behind it", statements(`{"Effect":"Deny","Action":"iot:Publish","Resource":"ARN:topic/a"}`, allowAll), Publish, "a", nil, false},
		{"deny leaves the rest allowed", statements(`{"Effect":"Deny","Action":"iot:Publish","Resource":"ARN:topic/a"}`, allowAll), Publish, "ab", nil, true},
		{"a statement may stand without an array", strings.NewReplacer("[", "", "]", "").Replace(statements(publishA)), Publish, "a", nil, true},

		{"actions are case-insensitive", statements(`{"Effect":"Allow","Action":"IOT:publish","Resource":"*"}`), Publish, "a", nil, true},
		{"actions take wildcards", statements(`{"Effect":"Allow","Action":"iot:*ublish","Resource":"*"}`), RetainPublish, "a", nil, true},
		{"an action wildcard takes only what it fits", statements(`{"Effect":"Allow","Action":"iot:*ublish","Resource":"*"}`), Receive, "a", nil, false},
		{"NotAction takes the others", statements(`{"Effect":"Allow","NotAction":"iot:Publish","Resource":"*"}`), Receive, "a", nil, true},
		{"NotAction leaves out the named", statements(`{"Effect":"Allow","NotAction":"iot:Publish","Resource":"*"}`), Publish, "a", nil, false},
		{"an unknown action is denied", statements(allowAll), "iot:Explode", "a", nil, false},

		{"connect is checked on client/", pattern("ARN:client/x"), Publish, "x", nil, false},
		{"subscribe is checked on topicfilter/", statements(`{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topic/a"}`), Subscribe, "a", nil, false},
		{"receive is checked on topic/", statements(`{"Effect":"Allow","Action":"iot:Receive","Resource":"ARN:topicfilter/a"}`), Receive, "a", nil, false},
		{"an ARN of no device type means nothing", pattern("ARN:thing/a"), Publish, "a", nil, false},
		{"names are case-sensitive", statements(publishA), Publish, "A", nil, false},

		{"star takes slashes", pattern("ARN:topic/a/*"), Publish, "a/b/c", nil, true},
		{"star takes nothing too", pattern("ARN:topic/a/*"), Publish, "a/", nil, true},
		{"star in the middle", pattern("ARN:topic/a/*/z"), Publish, "a/b/z/z", nil, true},
		{"two stars", pattern("ARN:topic/*/b/*"), Publish, "a/a/b/b", nil, true},
		{"star may stand for the type", pattern("ARN:*/a"), Publish, "x/a", nil, true},
		{"star may stand for part of the type", pattern("ARN:to*"), Publish, "x", nil, true},
		{"question mark takes one character", pattern("ARN:topic/a?c"), Publish, "a€c", nil, true},
		{"question mark does not take two", pattern("ARN:topic/a?c"), Publish, "abbc", nil, false},
		{"question mark does not take none", pattern("ARN:topic/a?"), Publish, "a", nil, false},
		{"plus and hash are ordinary in a topic", pattern("ARN:topic/a/#"), Publish, "a/b", nil, false},
		{"a filter is compared as text", statements(`{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/a/+"}`), Subscribe, "a/b", nil, false},
		{"a filter's own wildcards are ordinary", statements(`{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/a/+"}`), Subscribe, "a/+", nil, true},
		{"${*} is a star", pattern("ARN:topic/a${*}"), Publish, "a*", nil, true},
		{"${*} is no wildcard", pattern("ARN:topic/a${*}"), Publish, "ab", nil, false},
		{"${?} is a question mark", pattern("ARN:topic/a${?}"), Publish, "ab", nil, false},
		{"${$} is a dollar", pattern("ARN:topic/${$}{x}"), Publish, "${x}", nil, true},
		{"a dollar without brace is ordinary", pattern("ARN:topic/$aws/rules/r"), Publish, "$aws/rules/r", nil, true},

		{"another account never matches", pattern("arn:aws:iot:us-east-1:999999999999:topic/a"), Publish, "a", nil, false},
		{"another region never matches", pattern("arn:aws:iot:eu-west-1:123456789012:topic/a"), Publish, "a", nil, false},
		{"another service never matches", pattern("arn:aws:sns:us-east-1:123456789012:topic/a"), Publish, "a", nil, false},
		{"a region may be a wildcard", pattern("arn:aws:iot:*:123456789012:topic/a"), Publish, "a", nil, true},
		{"a wildcard ends at its colon", pattern("arn:aws:iot:*:999999999999:topic/a"), Publish, "x:999999999999:topic/a", nil, false},

		{"NotResource takes the others", statements(`{"Effect":"Allow","Action":"iot:Receive","NotResource":"ARN:topic/a/restricted/*"}`), Receive, "a/open", nil, true},
		{"NotResource leaves out the named", statements(`{"Effect":"Allow","Action":"iot:Receive","NotResource":"ARN:topic/a/restricted/*"}`), Receive, "a/restricted/x", nil, false},
		{"pitfall: a denied filter does not keep out the wider one", statements(
			`{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/a/*"}`,
			`{"Effect":"Deny","Action":"iot:Subscribe","Resource":"ARN:topicfilter/a/restricted/*"}`), Subscribe, "a/#", nil, true},

		{"own thing", statements(ownThing), Connect, "MyDevice001", nil, true},
		{"another's client id", statements(ownThing), Connect, "other", nil, false},
		{"no thing: the variable has no value", statements(ownThing), Connect, "MyDevice001", thingless, false},
		{"a variable's text is not a name", statements(ownThing), Connect, "${iot:Connection.Thing.ThingName}", thingless, false},
		{"variables are case-insensitive", pattern("ARN:topic/${IOT:clientid}"), Publish, "MyDevice001", nil, true},
		{"several variables and wildcards", pattern("ARN:topic/${iot:Connection.Thing.ThingTypeName}/*/${iot:Connection.Thing.Attributes[site]}/?"), Publish, "meter/a/b/oslo/x", nil, true},
		{"attribute names are case-sensitive", pattern("ARN:topic/${iot:Connection.Thing.Attributes[Site]}"), Publish, "oslo", nil, false},
		{"certificate id and serial", pattern("ARN:topic/${iot:CertificateId}/${iot:Certificate.SerialNumber}"), Publish, "c0ffee/4711", nil, true},
		{"source address", pattern("ARN:topic/${aws:SourceIp}"), Publish, "203.0.113.9", nil, true},
		{"a resource without value leaves its neighbours", statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":["ARN:topic/${iot:Connection.Thing.ThingName}","ARN:topic/a"]}`), Publish, "a", thingless, true},
		{"an unknown variable never has a value", pattern("ARN:topic/${iot:Nonsense}"), Publish, "${iot:Nonsense}", nil, false},
		{"NotResource without value allows nothing", statements(`{"Effect":"Allow","Action":"iot:Publish","NotResource":"ARN:topic/${iot:Connection.Thing.ThingName}"}`), Publish, "a", thingless, false},
		{"NotResource without value denies still", statements(allowAll, `{"Effect":"Deny","Action":"iot:Connect","NotResource":"ARN:client/${iot:Connection.Thing.ThingName}"}`), Connect, "x", thingless, false},
		{"pitfall: a client called + gets no wildcard", statements(ownFilter), Subscribe, "my/+/topic", func(p *iot.Principal) { p.ClientID = "+" }, false},
		{"pitfall: nor one called #", statements(ownFilter), Subscribe, "my/#/topic", func(p *iot.Principal) { p.ClientID = "#" }, false},
		{"pitfall: nor one called *", statements(ownFilter), Subscribe, "my/x/topic", func(p *iot.Principal) { p.ClientID = "*" }, false},
		{"a proper client id is substituted", statements(ownFilter), Subscribe, "my/c-1/topic", func(p *iot.Principal) { p.ClientID = "c-1" }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who := device("MyDevice001")
			if tt.change != nil {
				tt.change(who)
			}
			d := attached(strings.ReplaceAll(tt.document, "ARN:", account.ARN("iot", ""))).Authorize(who, tt.act, tt.on)
			if d.Allowed != tt.want {
				t.Errorf("%s on %s: %+v, want allowed %t", tt.act, tt.on, d, tt.want)
			}
			if d.Reason == "" || d.Allowed && d.Statement < 0 {
				t.Errorf("the decision %+v does not say why", d)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	named := statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/${iot:Connection.Thing.ThingName}/*"}`)
	tests := []struct {
		name      string
		documents []string
		act       Action
		on        string
		change    func(*iot.Principal)
		want      string
	}{
		{
			"allowed",
			[]string{named},
			Publish, "d/x", nil,
			"Statement[0] of policy P0 allows iot:Publish",
		},
		{
			"denied by a statement",
			[]string{named, statements(`{"Effect":"Deny","Action":"iot:*","Resource":"*"}`)},
			Publish, "d/x", nil,
			"Statement[0] of policy P1 denies iot:Publish on topic/d/x",
		},
		{
			"nothing allows",
			[]string{named, named},
			Publish, "x", nil,
			"no statement of policies [P0 P1] allows iot:Publish on topic/x; add arn:aws:iot:us-east-1:123456789012:topic/x to the Resource of a statement that allows iot:Publish",
		},
		{
			"the proposed ARN quotes wildcards",
			[]string{named},
			Publish, "a*", nil,
			"no statement of policies [P0] allows iot:Publish on topic/a*; add arn:aws:iot:us-east-1:123456789012:topic/a${*} to the Resource of a statement that allows iot:Publish",
		},
		{
			"a variable without value",
			[]string{named},
			Publish, "d/x", func(p *iot.Principal) { p.Thing = nil },
			`no statement of policies [P0] allows iot:Publish on topic/d/x; Statement[0] of policy P0 would, but ${iot:Connection.Thing.ThingName} has no value: no thing is named like the client id "d"`,
		},
		{
			"a condition that is not met",
			[]string{BasicDocument(account)},
			Connect, "d", func(p *iot.Principal) { p.Attached = false },
			`no statement of policies [P0] allows iot:Connect on client/d; Statement[0] of policy P0 would, but its condition Bool iot:Connection.Thing.IsAttached ["true"] is not met by ["false"]`,
		},
		{
			"no policy at all", nil, Publish, "x", nil,
			"no policy is attached to certificate c0ffee; attach one that allows iot:Publish on arn:aws:iot:us-east-1:123456789012:topic/x",
		},
		{
			"a stored document that does not parse",
			[]string{named, "{"},
			Publish, "d/x", nil,
			"policy P1 cannot be applied: policy document: the document: not JSON: unexpected end of JSON input: invalid",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who := device("d")
			if tt.change != nil {
				tt.change(who)
			}
			if d := attached(tt.documents...).Authorize(who, tt.act, tt.on); d.Reason != tt.want {
				t.Errorf("got  %s\nwant %s", d.Reason, tt.want)
			}
		})
	}
}

func TestBasicDocument(t *testing.T) {
	e := attached(BasicDocument(account))
	tests := []struct {
		act  Action
		on   string
		want bool
	}{
		{Connect, "MyDevice001", true},
		{Connect, "MyDevice002", false},
		{Publish, "sensor/data", true},
		{Publish, "sensor/MyDevice001/temperature", true},
		{Publish, "sensor/MyDevice002/temperature", false},
		{Publish, "other", false},
		{Receive, "sensor/data", true},
		{Subscribe, "sensor/data", true},
		{Subscribe, "sensor/MyDevice001/#", true},
		{Subscribe, "sensor/#", false},
		{Subscribe, "#", false},
	}
	for _, tt := range tests {
		if d := e.Authorize(device("MyDevice001"), tt.act, tt.on); d.Allowed != tt.want {
			t.Errorf("%s on %s: %+v, want allowed %t", tt.act, tt.on, d, tt.want)
		}
	}
	for _, document := range []string{BasicDocument(account), PlainDocument()} {
		if _, err := Parse(document); err != nil {
			t.Error(err)
		}
	}
}

func TestPoliciesByName(t *testing.T) {
	e := NewEnforcer(&fakeSource{policy: func(name string) (iot.Policy, error) {
		if name != "PlainMqtt" {
			return iot.Policy{}, fmt.Errorf("policy %q: %w", name, iot.ErrNotFound)
		}
		p := policies(PlainDocument())[0]
		p.Name = name
		return p, nil
	}}, account)
	if d := e.Authorize(&iot.Principal{ClientID: "c", PolicyNames: []string{"PlainMqtt"}}, Publish, "a"); !d.Allowed || d.Policy != "PlainMqtt" {
		t.Errorf("under PlainMqtt: %+v", d)
	}
	if d := e.Authorize(&iot.Principal{ClientID: "c", PolicyNames: []string{"Gone"}}, Publish, "a"); d.Allowed || !strings.Contains(d.Reason, `policy "Gone"`) {
		t.Errorf("under a policy that does not exist: %+v", d)
	}
	if d := e.Authorize(&iot.Principal{ClientID: "c"}, Publish, "a"); d.Allowed {
		t.Errorf("under no policy: %+v", d)
	}
}

func TestEnforcerKeepsWhatItReadForAGeneration(t *testing.T) {
	document := statements(`{"Effect":"Allow","Action":"iot:*","Resource":"*"}`)
	src := &fakeSource{}
	src.policiesOf = func(string) ([]iot.Policy, error) { return policies(document), nil }
	e := NewEnforcer(src, account)
	for range 3 {
		if d := e.Authorize(device("d"), Publish, "a"); !d.Allowed {
			t.Fatalf("%+v", d)
		}
	}
	if n := src.reads.Load(); n != 1 {
		t.Errorf("read %d times in one generation", n)
	}
	document = statements(`{"Effect":"Deny","Action":"iot:*","Resource":"*"}`)
	src.generation.Add(1)
	if d := e.Authorize(device("d"), Publish, "a"); d.Allowed {
		t.Errorf("the next generation still has the old policy: %+v", d)
	}
}

func TestEnforcerDoesNotKeepFailures(t *testing.T) {
	fail := true
	e := NewEnforcer(&fakeSource{policiesOf: func(string) ([]iot.Policy, error) {
		if fail {
			return nil, errors.New("disk on fire")
		}
		return policies(PlainDocument()), nil
	}}, account)
	if d := e.Authorize(device("d"), Publish, "a"); d.Allowed || !strings.Contains(d.Reason, "disk on fire") {
		t.Errorf("%+v", d)
	}
	fail = false
	if d := e.Authorize(device("d"), Publish, "a"); !d.Allowed {
		t.Errorf("%+v", d)
	}
}

func TestEnforcerCacheIsBounded(t *testing.T) {
	e := attached(PlainDocument())
	who := device("d")
	for i := range cacheLimit + 10 {
		who.Certificate.ID = strconv.Itoa(i)
		if d := e.Authorize(who, Publish, "a"); !d.Allowed {
			t.Fatalf("%+v", d)
		}
	}
	kept := 0
	e.current.Load().byCertificate.Range(func(any, any) bool { kept++; return true })
	if kept == 0 || kept > cacheLimit {
		t.Errorf("keeps %d sets, the limit is %d", kept, cacheLimit)
	}
}

func TestEnforcerConcurrently(t *testing.T) {
	src := &fakeSource{policiesOf: func(string) ([]iot.Policy, error) { return policies(BasicDocument(account)), nil }}
	e := NewEnforcer(src, account)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			who := device("d" + strconv.Itoa(i))
			who.Certificate.ID = who.ClientID
			for j := range 200 {
				if d := e.Authorize(who, Publish, "sensor/"+who.ClientID+"/x"); !d.Allowed {
					t.Errorf("%+v", d)
				}
				if j%50 == 0 {
					src.generation.Add(1)
				}
			}
		})
	}
	wg.Wait()
}

func TestAllowingDoesNotAllocate(t *testing.T) {
	e, who := attached(BasicDocument(account)), device("MyDevice001")
	for _, topic := range []string{"sensor/data", "sensor/MyDevice001/temperature"} {
		if n := testing.AllocsPerRun(100, func() {
			if d := e.Authorize(who, Publish, topic); !d.Allowed {
				t.Fatal(d.Reason)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", topic, n)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	e, who := attached(BasicDocument(account)), device("MyDevice001")
	for _, topic := range []string{"sensor/data", "sensor/MyDevice001/temperature"} {
		b.Run(topic, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := e.Authorize(who, Publish, topic); !d.Allowed {
					b.Fatal(d.Reason)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

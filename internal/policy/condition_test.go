package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// when returns a document that allows a connection under a condition.
func when(condition string) string {
	return statements(`{"Effect":"Allow","Action":"iot:Connect","Resource":"*","Condition":` + condition + `}`)
}

func TestConditions(t *testing.T) {
	thingless := func(p *iot.Principal) { p.Thing, p.Attached = nil, false }
	asks := func(features ...string) func(*iot.Principal) {
		return func(p *iot.Principal) { p.ConnectAttributes = features }
	}
	organizations := func(names ...string) func(*iot.Principal) {
		return func(p *iot.Principal) { p.Certificate.Subject["Organization"] = names }
	}
	tests := []struct {
		name      string
		condition string
		change    func(*iot.Principal)
		want      bool
	}{
		{"attached", `{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}`, nil, true},
		{"attached, as a JSON boolean", `{"Bool":{"iot:Connection.Thing.IsAttached":[true]}}`, nil, true},
		{"not attached", `{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}`, func(p *iot.Principal) { p.Attached = false }, false},
		{"no thing is not attached", `{"Bool":{"iot:Connection.Thing.IsAttached":"false"}}`, thingless, true},

		{"equal", `{"StringEquals":{"iot:ClientId":["x","MyDevice001"]}}`, nil, true},
		{"equal takes no wildcard", `{"StringEquals":{"iot:ClientId":"My*"}}`, nil, false},
		{"equal in any case", `{"StringEqualsIgnoreCase":{"iot:ClientId":"MYDEVICE001"}}`, nil, true},
		{"not equal in any case", `{"StringNotEqualsIgnoreCase":{"iot:ClientId":"MYDEVICE001"}}`, nil, false},
		{"not equal to any of them", `{"StringNotEquals":{"iot:ClientId":["x","MyDevice001"]}}`, nil, false},
		{"like", `{"StringLike":{"iot:ClientId":"My*00?"}}`, nil, true},
		{"like with a quoted star", `{"StringLike":{"iot:ClientId":"My${*}"}}`, nil, false},
		{"not like", `{"StringNotLike":{"iot:ClientId":"My*"}}`, nil, false},
		{"a variable in the value", `{"StringEquals":{"iot:ClientId":"${iot:Connection.Thing.ThingName}"}}`, nil, true},
		{"a variable without value", `{"StringEquals":{"iot:ClientId":"${iot:Connection.Thing.ThingName}"}}`, thingless, false},
		{"a variable without value does not open a negation", `{"StringNotEquals":{"iot:ClientId":"${iot:Connection.Thing.ThingName}"}}`, thingless, false},
		{"all conditions must hold", `{"StringLike":{"iot:ClientId":"My*","iot:Connection.Thing.ThingTypeName":"pump"}}`, nil, false},

		{"a missing key is not equal", `{"StringEquals":{"iot:Connection.Thing.ThingTypeName":"meter"}}`, thingless, false},
		{"a missing key satisfies a negation", `{"StringNotEquals":{"iot:Connection.Thing.ThingTypeName":"meter"}}`, thingless, true},
		{"a missing key with IfExists", `{"StringEqualsIfExists":{"iot:Connection.Thing.ThingTypeName":"pump"}}`, thingless, true},
		{"a key that is there with IfExists", `{"StringEqualsIfExists":{"iot:Connection.Thing.ThingTypeName":"pump"}}`, nil, false},
		{"null asks for absence", `{"Null":{"iot:Connection.Thing.ThingName":"true"}}`, thingless, true},
		{"null denied asks for presence", `{"Null":{"iot:Connection.Thing.ThingName":"false"}}`, thingless, false},
		{"null denied, and there", `{"Null":{"iot:Connection.Thing.ThingName":false}}`, nil, true},

		{"numbers are compared as numbers", `{"NumericEquals":{"iot:Connection.Thing.Attributes[level]":"7.0"}}`, nil, true},
		{"less than", `{"NumericLessThan":{"iot:Connection.Thing.Attributes[level]":10}}`, nil, true},
		{"less than or equal", `{"NumericLessThanEquals":{"iot:Connection.Thing.Attributes[level]":6.5}}`, nil, false},
		{"greater than", `{"NumericGreaterThan":{"iot:Connection.Thing.Attributes[level]":"6"}}`, nil, true},
		{"greater than or equal", `{"NumericGreaterThanEquals":{"iot:Connection.Thing.Attributes[level]":"7"}}`, nil, true},
		{"not equal", `{"NumericNotEquals":{"iot:Connection.Thing.Attributes[level]":"7"}}`, nil, false},
		{"what is no number is less than none", `{"NumericLessThan":{"iot:Connection.Thing.Attributes[site]":"10"}}`, nil, false},
		{"dates", `{"DateLessThan":{"iot:Connection.Thing.Attributes[until]":"2027-01-01T00:00:00Z"}}`, func(p *iot.Principal) { p.Thing.Attributes["until"] = "2026-12-31" }, true},
		{"dates against seconds", `{"DateGreaterThan":{"iot:Connection.Thing.Attributes[until]":"1798761600"}}`, func(p *iot.Principal) { p.Thing.Attributes["until"] = "2026-12-31T23:59:59Z" }, false},

		{"an address in the range", `{"IpAddress":{"aws:SourceIp":["198.51.100.0/24","203.0.113.0/24"]}}`, nil, true},
		{"an address outside", `{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}`, nil, false},
		{"one address", `{"IpAddress":{"aws:SourceIp":"203.0.113.9"}}`, nil, true},
		{"not in the range", `{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, nil, false},
		{"a mapped address is its IPv4 address", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, func(p *iot.Principal) { p.Source = netip.MustParseAddr("::ffff:203.0.113.9") }, true},

		{"plain connections only: plain", `{"ForAllValues:StringEquals":{"iot:ConnectAttributes":[]}}`, nil, true},
		{"plain connections only: with a will", `{"ForAllValues:StringEquals":{"iot:ConnectAttributes":[]}}`, asks("LastWill"), false},
		{"with or without a will: with", `{"ForAllValues:StringEquals":{"iot:ConnectAttributes":["LastWill"]}}`, asks("LastWill"), true},
		{"with or without a will: without", `{"ForAllValues:StringEquals":{"iot:ConnectAttributes":["LastWill"]}}`, nil, true},
		{"with or without a will: persistent", `{"ForAllValues:StringEquals":{"iot:ConnectAttributes":["LastWill"]}}`, asks("PersistentConnect", "LastWill"), false},
		{"must be persistent: is", `{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}`, asks("PersistentConnect", "LastWill"), true},
		{"must be persistent: is not", `{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}`, nil, false},

		{"any of a list", `{"ForAnyValue:StringEquals":{"iot:Certificate.Subject.Organization.List":["b","x"]}}`, organizations("a", "b"), true},
		{"all of a list", `{"ForAllValues:StringEquals":{"iot:Certificate.Subject.Organization.List":["b","x"]}}`, organizations("a", "b"), false},
		{"one of a list differs", `{"ForAnyValue:StringNotEquals":{"iot:Certificate.Subject.Organization.List":["b"]}}`, organizations("a", "b"), true},
		{"all of a list differ", `{"ForAllValues:StringNotEquals":{"iot:Certificate.Subject.Organization.List":["b"]}}`, organizations("a", "b"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who := device("MyDevice001")
			if tt.change != nil {
				tt.change(who)
			}
			if d := attached(when(tt.condition)).Authorize(who, Connect, "MyDevice001"); d.Allowed != tt.want {
				t.Errorf("%+v, want allowed %t", d, tt.want)
			}
		})
	}
}

func TestConnectAttributesBelongToConnect(t *testing.T) {
	e := attached(statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":["LastWill"]}}}`))
	who := device("d")
	who.ConnectAttributes = []string{"LastWill"}
	if d := e.Authorize(who, Publish, "a"); d.Allowed {
		t.Errorf("%+v: iot:ConnectAttributes has no value but for iot:Connect", d)
	}
}

func TestDates(t *testing.T) {
	want := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{"2026-11-23T10:00:00Z", "2026-11-23T10:00Z", "2026-11-23T12:00:00+02:00", "2026-11-23T10:00:00", "1795428000"} {
		if got, ok := parseDate(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %v %t", text, got, ok)
		}
	}
}

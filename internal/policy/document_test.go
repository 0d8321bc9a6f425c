package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestParseRefuses(t *testing.T) {
	const ok = `{"Effect":"Allow","Action":"iot:Publish","Resource":"*"}`
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + ok + `,` + s + `]}` }
	condition := func(c string) string {
		return statement(`{"Effect":"Allow","Action":"iot:Connect","Resource":"*","Condition":` + c + `}`)
	}
	tests := []struct {
		name, document string
		want           string // between "policy document: " and ": invalid"
	}{
		{"nothing", ``, "the document: not JSON: unexpected end of JSON input"},
		{"no JSON", `{"Version":}`, "the document: not JSON: invalid character '}' looking for beginning of value"},
		{"something behind it", `{} x`, "the document: not JSON: invalid character 'x' after top-level value"},
		{"no object", `[]`, "the document: not an object"},
		{"null", `null`, "the document: not an object"},
		{"no version", `{"Statement":` + ok + `}`, `Version: missing; write "Version": "2012-10-17"`},
		{"another version", `{"Version":"2026-01-01","Statement":` + ok + `}`, `Version: "2026-01-01" is not a version; write "2012-10-17"`},
		{"a version that is a number", `{"Version":2012,"Statement":` + ok + `}`, "Version: not a string"},
		{"an unknown member", `{"Version":"2012-10-17","Statements":[]}`, `the document: unknown member "Statements"; there are Version, Id and Statement`},
		{"a member twice", `{"Version":"2012-10-17","Version":"2012-10-17"}`, `the document: the member "Version" stands there twice`},
		{"no statement", `{"Version":"2012-10-17"}`, "Statement: missing or empty; a policy needs at least one"},
		{"an empty list of statements", `{"Version":"2012-10-17","Statement":[]}`, "Statement: missing or empty; a policy needs at least one"},
		{
			"a variable in the old version", `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:r:1:client/${iot:ClientId}"}}`,
			`Statement[0]: ${iot:ClientId}: policy variables need "Version": "2012-10-17"`,
		},

		{"a statement that is no object", statement(`7`), "Statement[1]: not an object"},
		{"a statement that is null", statement(`null`), "Statement[1]: not an object"},
		{"no effect", statement(`{"Action":"iot:Publish","Resource":"*"}`), `Statement[1].Effect: missing; write "Allow" or "Deny"`},
		{"another effect", statement(`{"Effect":"allow","Action":"iot:Publish","Resource":"*"}`), `Statement[1].Effect: "allow" is no effect; write "Allow" or "Deny"`},
		{"no action", statement(`{"Effect":"Deny","Resource":"*"}`), "Statement[1].Action: a statement has either Action or NotAction"},
		{"both kinds of action", statement(`{"Effect":"Deny","Action":"*","NotAction":"*","Resource":"*"}`), "Statement[1].Action: a statement has either Action or NotAction"},
		{"no resource", statement(`{"Effect":"Deny","Action":"*"}`), "Statement[1].Resource: a statement has either Resource or NotResource"},
		{"both kinds of resource", statement(`{"Effect":"Deny","Action":"*","Resource":"*","NotResource":"*"}`), "Statement[1].Resource: a statement has either Resource or NotResource"},
		{
			"an unknown member of a statement", statement(`{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"}`),
			`Statement[1]: unknown member "Principal"; there are Sid, Effect, Action, NotAction, Resource, NotResource and Condition`,
		},
		{"an empty list of actions", statement(`{"Effect":"Deny","Action":[],"Resource":"*"}`), "Statement[1].Action: empty; name an action such as iot:Publish"},
		{"an action that is null", statement(`{"Effect":"Deny","Action":[null],"Resource":"*"}`), "Statement[1].Action: null is not a string"},
		{"an action without service", statement(`{"Effect":"Deny","Action":"Publish","Resource":"*"}`), `Statement[1].Action: "Publish" is not an action; write iot:Publish, iot:* or the like`},
		{"an empty list of resources", statement(`{"Effect":"Deny","Action":"*","Resource":[]}`), "Statement[1].Resource: empty; name an ARN such as arn:aws:iot:us-east-1:123456789012:topic/sensor/data"},
		{"a resource that is no ARN", statement(`{"Effect":"Deny","Action":"*","NotResource":"topic/a"}`), `Statement[1].NotResource: "topic/a" is not an ARN; write arn:aws:iot:REGION:ACCOUNT:topic/NAME or the like`},
		{"an ARN of too few parts", statement(`{"Effect":"Deny","Action":"*","Resource":"arn:aws:iot:*"}`), `Statement[1].Resource: "arn:aws:iot:*" is not an ARN; write arn:aws:iot:REGION:ACCOUNT:topic/NAME or the like`},
		{
			"a variable as the account", statement(`{"Effect":"Deny","Action":"*","Resource":"arn:aws:iot:${aws:Region}:1:topic/a"}`),
			`Statement[1].Resource: "arn:aws:iot:${aws:Region}:1:topic/a": a policy variable may stand only in the resource's name, behind the account`,
		},
		{"a variable that is not closed", statement(`{"Effect":"Deny","Action":"*","Resource":"arn:aws:iot:r:1:topic/${a"}`), `Statement[1].Resource: "arn:aws:iot:r:1:topic/${a": the variable "${a" lacks its closing brace`},
		{"a variable without name", statement(`{"Effect":"Deny","Action":"*","Resource":"arn:aws:iot:r:1:topic/${}"}`), `Statement[1].Resource: "arn:aws:iot:r:1:topic/${}": ${} names no variable`},

		{"a condition that is no object", condition(`"x"`), "Statement[1].Condition: not an object"},
		{"an operator that is no object", condition(`{"Bool":true}`), "Statement[1].Condition.Bool: not an object"},
		{"an unknown operator", condition(`{"StringEqual":{"iot:ClientId":"x"}}`), `Statement[1].Condition: unknown operator "StringEqual"`},
		{"an unknown operator without keys", condition(`{"Nonsense":{}}`), `Statement[1].Condition: unknown operator "Nonsense"`},
		{"an unknown comparison of numbers", condition(`{"NumericLike":{"iot:ClientId":"1"}}`), `Statement[1].Condition: unknown operator "NumericLike"`},
		{"an unknown set operator", condition(`{"ForEach:StringEquals":{"iot:ClientId":"x"}}`), `Statement[1].Condition: unknown set operator "ForEach"; there are ForAllValues and ForAnyValue`},
		{"null with IfExists", condition(`{"NullIfExists":{"iot:ClientId":"true"}}`), `Statement[1].Condition: unknown operator "NullIfExists"`},
		{"a value that is an object", condition(`{"StringEquals":{"iot:ClientId":{}}}`), `Statement[1].Condition.StringEquals.iot:ClientId: {} is not a string`},
		{"no boolean", condition(`{"Bool":{"iot:Connection.Thing.IsAttached":"yes"}}`), `Statement[1].Condition: iot:Connection.Thing.IsAttached: "yes" is neither true nor false`},
		{"no number", condition(`{"NumericEquals":{"iot:Connection.Thing.Attributes[a]":"0x10"}}`), `Statement[1].Condition: iot:Connection.Thing.Attributes[a]: "0x10" is not a number`},
		{"no date", condition(`{"DateEquals":{"iot:Connection.Thing.Attributes[a]":"tomorrow"}}`), `Statement[1].Condition: iot:Connection.Thing.Attributes[a]: "tomorrow" is not a date (2026-11-23, 2026-11-23T10:00:00Z, or seconds since 1970)`},
		{"no address range", condition(`{"IpAddress":{"aws:SourceIp":"203.0.113/24"}}`), `Statement[1].Condition: aws:SourceIp: "203.0.113/24" is not an address range (203.0.113.0/24, or one address)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.document)
			if want := "policy document: " + tt.want + ": invalid"; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%v does not wrap iot.ErrInvalid", err)
			}
		})
	}
}

func TestParseCountsCharactersWithoutWhiteSpace(t *testing.T) {
	document := func(topic string) string {
		return statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/` + topic + `"}`)
	}
	room := maxCharacters - len(document(""))
	if _, err := Parse(strings.ReplaceAll(document(strings.Repeat("é", room)), ",", " ,\n\t ")); err != nil {
		t.Errorf("a document of exactly the limit: %v", err)
	}
	if _, err := Parse(document(strings.Repeat("é", room+1))); err == nil || !strings.Contains(err.Error(), "2049 characters") {
		t.Errorf("a document of one character more: %v", err)
	}
	if _, err := Parse(document("") + strings.Repeat(" ", maxBytes)); err == nil {
		t.Error("half a megabyte of white space was taken")
	}
}

func TestWarnings(t *testing.T) {
	const guide = `{"Effect":"Allow","Action":["iot:Connect","iot:Publish"],"Resource":["*"]}`
	tests := []struct {
		name, statement string
		want            []string
	}{
		{"the guide's policy", guide, []string{
			"Statement[0] allows iot:Connect and iot:Publish on *, so one device may act as any other; give each action the resources it needs: " +
				"iot:Connect on ARN:client/${iot:Connection.Thing.ThingName}; iot:Publish on ARN:topic/sensor/${iot:Connection.Thing.ThingName}/*",
		}},
		{"every topic", `{"Effect":"Allow","Action":"iot:Receive","Resource":"ARN:topic/*"}`, []string{
			"Statement[0] allows iot:Receive on ARN:topic/*, so one device may act as any other; give each action the resources it needs: " +
				"iot:Receive on ARN:topic/sensor/${iot:Connection.Thing.ThingName}/*",
		}},
		{"every filter", `{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/*"}`, []string{
			"Statement[0] allows iot:Subscribe on ARN:topicfilter/*, so one device may act as any other; give each action the resources it needs: " +
				"iot:Subscribe on ARN:topicfilter/sensor/${iot:Connection.Thing.ThingName}/*",
		}},
		{"denying everything is fine", `{"Effect":"Deny","Action":"iot:*","Resource":"*"}`, nil},
		{"a narrow statement is fine", `{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/sensor/*"}`, nil},
		{"another account", `{"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:us-east-1:1:topic/a"}`, []string{
			"Statement[0] has the resource arn:aws:iot:us-east-1:1:topic/a of another account, region or service, which never matches; write ARN:topic/a",
		}},
		{"a filter in a topic", `{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/a/#"}`, []string{
			"Statement[0] has the resource ARN:topic/a/#, where + and # are ordinary characters that no topic contains; write * for any run of characters",
		}},
		{"a filter in a filter is fine", `{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topicfilter/a/#"}`, nil},
		{"a misspelt action", `{"Effect":"Allow","Action":"iot:Pulish","Resource":"ARN:topic/a"}`, []string{
			"Statement[0] names iot:Pulish, which is no action of a device; a device's are iot:Connect, iot:Publish, iot:RetainPublish, iot:Subscribe and iot:Receive",
		}},
		{"an action of the HTTP interface is fine", `{"Effect":"Allow","Action":"iot:GetThingShadow","Resource":"ARN:thing/a"}`, nil},
		{"subscribing to a topic", `{"Effect":"Allow","Action":"iot:Subscribe","Resource":"ARN:topic/a"}`, []string{
			"Statement[0] names iot:Subscribe, which is checked on topicfilter/…, but no such resource; add ARN:topicfilter/sensor/${iot:Connection.Thing.ThingName}/*",
		}},
		{"an unknown variable", `{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/${iot:Thing}"}`, []string{
			"Statement[0] uses ${iot:Thing}, which is no policy variable and never has a value",
		}},
		{"an unknown condition key", `{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/a","Condition":{"Bool":{"iot:IsNice":"true"}}}`, []string{
			"Statement[0] has a condition on iot:IsNice, a key that never has a value",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(statements(tt.statement))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(fmt.Sprintf("%q", tt.want), "ARN:", account.ARN("iot", ""))
			if got := fmt.Sprintf("%q", d.Warnings(account)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	d, err := Parse(BasicDocument(account))
	if err != nil || d.Warnings(account) != nil {
		t.Errorf("IoTBasicPolicy: %v %q", err, d.Warnings(account))
	}
}

// FuzzParse checks that no document does harm, and that one that is accepted
// decides the same when it has been written out and read again.
func FuzzParse(f *testing.F) {
	for _, document := range []string{
		BasicDocument(account), PlainDocument(),
		statements(`{"Sid":"s","Effect":"Deny","NotAction":"iot:Pub*","NotResource":["ARN:topic/a?${*}"]}`),
		when(`{"ForAllValues:StringEquals":{"iot:ConnectAttributes":[]},"Bool":{"iot:Connection.Thing.IsAttached":true}}`),
		when(`{"StringNotLikeIfExists":{"iot:ClientId":["My*","${iot:CertificateId}"]},"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`),
		when(`{"NumericLessThan":{"iot:Connection.Thing.Attributes[level]":1e3},"Null":{"iot:Certificate.Subject.Title.1":"true"}}`),
		when(`{"DateEquals":{"iot:Connection.Thing.Attributes[a]":"2026-11-23"},"NotIpAddress":{"aws:SourceIp":"::1"}}`),
	} {
		f.Add(document, "MyDevice001", "sensor/data")
	}
	f.Fuzz(func(t *testing.T, document, client, name string) {
		d, err := Parse(document)
		if err != nil {
			if !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%v does not wrap iot.ErrInvalid", err)
			}
			return
		}
		d.Warnings(account)
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(text)) // escapes may have made it longer than Parse takes
		if err != nil {
			t.Fatalf("written out as %s: %v", text, err)
		}
		first := newPolicySet([]*compiled{d.compile("P", account)})
		second := newPolicySet([]*compiled{again.compile("P", account)})
		bare := &iot.Principal{ClientID: client, Source: netip.IPv6Loopback()}
		for _, who := range []*iot.Principal{device(client), bare} {
			for _, act := range checkedActions() {
				r := &request{who: who, act: act, name: name}
				if a, b := first.decide(r, account), second.decide(r, account); a.Allowed != b.Allowed || a.Statement != b.Statement {
					t.Errorf("%s on %q: %+v, but written out as %s: %+v", act, name, a, text, b)
				}
			}
		}
	})
}

// naiveMatch is the definition of a pattern's match, by trying everything.
func naiveMatch(pattern, s []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(s) == 0
	case pattern[0] == '*':
		return naiveMatch(pattern[1:], s) || len(s) > 0 && naiveMatch(pattern, s[1:])
	default:
		return len(s) > 0 && (pattern[0] == '?' || pattern[0] == s[0]) && naiveMatch(pattern[1:], s[1:])
	}
}

// FuzzPattern checks the matcher against naiveMatch.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*a*a*", "banana")
	f.Add("*??", "€")
	f.Add("?*$", "é$")
	f.Fuzz(func(t *testing.T, text, s string) {
		text, s = strings.ToValidUTF8(text, "x"), strings.ToValidUTF8(s, "x")
		if strings.Contains(text, "${") || len(text) > 30 || len(s) > 30 || strings.Count(text, "*") > 4 {
			return // the naive matcher is exponential in the stars
		}
		p, err := parsePattern(text, true)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.match(s), naiveMatch([]rune(text), []rune(s)); got != want {
			t.Errorf("%q on %q: %t, want %t", text, s, got, want)
		}
	})
}

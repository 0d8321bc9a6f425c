package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// The key, account and moment of the tests.
const (
	testKey    = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func testAccount() iot.Account { return iot.Account{Region: "us-east-1", ID: "123456789012"} }

func testNow() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 250e6, time.UTC) }

// memory is the registry in memory, with the errors of the real one.
type memory struct {
	things       map[string]iot.Thing
	certificates map[string]iot.Certificate
	policies     map[string]iot.Policy
	rules        map[string]iot.Rule
	permissions  map[string]iot.Permission // by function and statement id
	underPolicy  map[[2]string]bool        // certificate, policy
	ofThing      map[[2]string]bool        // thing, certificate
	issued       int
	published    []*iot.Message
	publishErr   error
	disconnected []string // client identifier, clean session, prevent will
	asked        []string // of Clients
}

func newMemory() *memory {
	return &memory{
		things: map[string]iot.Thing{}, certificates: map[string]iot.Certificate{}, policies: map[string]iot.Policy{},
		rules: map[string]iot.Rule{}, permissions: map[string]iot.Permission{},
		underPolicy: map[[2]string]bool{}, ofThing: map[[2]string]bool{},
	}
}

func fetch[T any](m map[string]T, what, name string) (T, error) {
	v, ok := m[name]
	if !ok {
		return v, fmt.Errorf("%s %q: %w", what, name, iot.ErrNotFound)
	}
	return v, nil
}

func pageOf[T any](m map[string]T, after string, limit int) ([]T, error) {
	var list []T
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name > after && len(list) < limit {
			list = append(list, m[name])
		}
	}
	return list, nil
}

func (m *memory) CreateThing(t iot.Thing) (iot.Thing, error) {
	if old, ok := m.things[t.Name]; ok {
		if !maps.Equal(old.Attributes, t.Attributes) {
			return t, fmt.Errorf("thing %q, with another type or other attributes: %w", t.Name, iot.ErrExists)
		}
		return old, nil
	}
	t.ID, t.Version = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(m.things)+1), 1
	m.things[t.Name] = t
	return t, nil
}

func (m *memory) Thing(name string) (iot.Thing, error) { return fetch(m.things, "thing", name) }

func (m *memory) Things(after string, limit int) ([]iot.Thing, error) {
	return pageOf(m.things, after, limit)
}

func (m *memory) UpdateThing(name string, expected int64, change func(*iot.Thing) error) (iot.Thing, error) {
	t, err := m.thingAt(name, expected)
	if err != nil {
		return t, err
	}
	if err := change(&t); err != nil {
		return t, err
	}
	t.Version++
	m.things[name] = t
	return t, nil
}

func (m *memory) thingAt(name string, expected int64) (iot.Thing, error) {
	t, err := m.Thing(name)
	if err == nil && expected != 0 && expected != t.Version {
		err = fmt.Errorf("thing %q is at version %d, not %d: %w", name, t.Version, expected, iot.ErrVersionConflict)
	}
	return t, err
}

func (m *memory) DeleteThing(name string, expected int64) error {
	if _, err := m.thingAt(name, expected); err != nil {
		return err
	}
	if ids, _ := m.CertificatesOf(name); len(ids) > 0 {
		return fmt.Errorf("thing %q is attached to %d certificates: %w", name, len(ids), iot.ErrConflict)
	}
	delete(m.things, name)
	return nil
}

func (m *memory) AttachThing(thing, id string) error {
	return m.link(m.ofThing, "thing", thing, has(m.things, thing), id, thing, id)
}

func (m *memory) DetachThing(thing, id string) error {
	if err := m.AttachThing(thing, id); err != nil {
		return err
	}
	delete(m.ofThing, [2]string{thing, id})
	return nil
}

func has[T any](m map[string]T, name string) bool {
	_, ok := m[name]
	return ok
}

func (m *memory) link(pairs map[[2]string]bool, what, name string, there bool, id, a, z string) error {
	if !there {
		return fmt.Errorf("%s %q: %w", what, name, iot.ErrNotFound)
	}
	if !has(m.certificates, id) {
		return fmt.Errorf("certificate %q: %w", id, iot.ErrNotFound)
	}
	pairs[[2]string{a, z}] = true
	return nil
}

// paired returns the partners of name in pairs, which is at index i of each.
func paired(pairs map[[2]string]bool, i int, name string) []string {
	var others []string
	for pair := range pairs {
		if pair[i] == name {
			others = append(others, pair[1-i])
		}
	}
	slices.Sort(others)
	return others
}

func (m *memory) ThingsOf(id string) ([]string, error) {
	_, err := m.Certificate(id)
	return paired(m.ofThing, 1, id), err
}

func (m *memory) CertificatesOf(thing string) ([]string, error) {
	_, err := m.Thing(thing)
	return paired(m.ofThing, 0, thing), err
}

func (m *memory) PutCertificate(c iot.Certificate) error {
	m.certificates[c.ID] = c
	return nil
}

func (m *memory) Certificate(id string) (iot.Certificate, error) {
	return fetch(m.certificates, "certificate", id)
}

func (m *memory) Certificates(after string, limit int) ([]iot.Certificate, error) {
	return pageOf(m.certificates, after, limit)
}

func (m *memory) SetCertificateStatus(id string, status iot.CertificateStatus, at time.Time) error {
	c, err := m.Certificate(id)
	if err == nil {
		c.Status, c.Modified = status, at
		m.certificates[id] = c
	}
	return err
}

func (m *memory) DeleteCertificate(id string) error {
	if things, _ := m.ThingsOf(id); len(things) > 0 {
		return fmt.Errorf("certificate %q is attached to %d things (such as %q): detach it first: %w", id, len(things), things[0], iot.ErrConflict)
	}
	if names := paired(m.underPolicy, 0, id); len(names) > 0 {
		return fmt.Errorf("certificate %q is attached to %d policies (such as %q): detach it first: %w", id, len(names), names[0], iot.ErrConflict)
	}
	delete(m.certificates, id)
	return nil
}

func (m *memory) CreatePolicy(p iot.Policy) error {
	if has(m.policies, p.Name) {
		return fmt.Errorf("policy %q: %w", p.Name, iot.ErrExists)
	}
	m.policies[p.Name] = p
	return nil
}

func (m *memory) Policy(name string) (iot.Policy, error) {
	p, err := fetch(m.policies, "policy", name)
	p.Versions = slices.Clone(p.Versions)
	return p, err
}

func (m *memory) Policies(after string, limit int) ([]iot.Policy, error) {
	return pageOf(m.policies, after, limit)
}

func (m *memory) UpdatePolicy(name string, change func(*iot.Policy) error) (iot.Policy, error) {
	p, err := m.Policy(name)
	if err == nil {
		err = change(&p)
	}
	if err == nil {
		m.policies[name] = p
	}
	return p, err
}

func (m *memory) DeletePolicy(name string) error {
	p, err := m.Policy(name)
	if err != nil {
		return err
	}
	if ids := paired(m.underPolicy, 1, name); len(ids) > 0 {
		return fmt.Errorf("policy %q is attached to %d certificates (such as %q): detach it first: %w", name, len(ids), ids[0], iot.ErrConflict)
	}
	if len(p.Versions) > 1 {
		return fmt.Errorf("policy %q has %d versions: delete all but the default first: %w", name, len(p.Versions), iot.ErrConflict)
	}
	delete(m.policies, name)
	return nil
}

func (m *memory) AttachPolicy(id, policy string) error {
	return m.link(m.underPolicy, "policy", policy, has(m.policies, policy), id, id, policy)
}

func (m *memory) DetachPolicy(id, policy string) error {
	if err := m.AttachPolicy(id, policy); err != nil {
		return err
	}
	delete(m.underPolicy, [2]string{id, policy})
	return nil
}

func (m *memory) PoliciesOf(id string) ([]iot.Policy, error) {
	if _, err := m.Certificate(id); err != nil {
		return nil, err
	}
	var policies []iot.Policy
	for _, name := range paired(m.underPolicy, 0, id) {
		policies = append(policies, m.policies[name])
	}
	return policies, nil
}

func (m *memory) PolicyTargets(policy string) ([]string, error) {
	_, err := m.Policy(policy)
	return paired(m.underPolicy, 1, policy), err
}

func (m *memory) IssueKeys(active bool) (iot.Certificate, string, string, error) {
	m.issued++
	c := iot.Certificate{
		ID: strings.Repeat(fmt.Sprintf("%02x", 0xc0+m.issued), 32), PEM: "-----BEGIN CERTIFICATE-----\n",
		Status: iot.CertificateInactive, Created: testNow(), Modified: testNow(),
		NotBefore: testNow(), NotAfter: testNow().AddDate(23, 0, 0),
	}
	if active {
		c.Status = iot.CertificateActive
	}
	return c, "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN PUBLIC KEY-----\n", nil
}

func (m *memory) IssueCSR(csr string, active bool) (iot.Certificate, error) {
	if !strings.HasPrefix(csr, "-----BEGIN CERTIFICATE REQUEST-----") {
		return iot.Certificate{}, fmt.Errorf("the certificate signing request is not PEM: %w", iot.ErrInvalid)
	}
	c, _, _, err := m.IssueKeys(active)
	return c, err
}

func (m *memory) Rule(name string) (iot.Rule, error) { return fetch(m.rules, "rule", name) }

func (m *memory) Rules() ([]iot.Rule, error) { return pageOf(m.rules, "", len(m.rules)) }

func (m *memory) Create(r iot.Rule) error {
	if has(m.rules, r.Name) {
		return fmt.Errorf("rule %q: %w", r.Name, iot.ErrExists)
	}
	return m.put(r)
}

func (m *memory) put(r iot.Rule) error {
	if _, err := iotsql.Parse(r.SQL, r.SQLVersion); err != nil {
		return fmt.Errorf("rule %q: %w", r.Name, err)
	}
	for _, a := range r.Actions {
		if a.Kind != "lambda" && a.Kind != "republish" {
			return fmt.Errorf("action %s: %w", a.Kind, iot.ErrUnsupported)
		}
	}
	m.rules[r.Name] = r
	return nil
}

func (m *memory) Replace(r iot.Rule) error {
	old, err := m.Rule(r.Name)
	if err != nil {
		return err
	}
	r.Created = old.Created
	return m.put(r)
}

func (m *memory) SetDisabled(name string, disabled bool) error {
	r, err := m.Rule(name)
	if err == nil {
		r.Disabled = disabled
		m.rules[name] = r
	}
	return err
}

func (m *memory) Delete(name string) error {
	delete(m.rules, name)
	return nil
}

func (m *memory) Exists(function string) bool { return function == "ProcessIoTData" }

func (m *memory) PutPermission(p iot.Permission) error {
	key := p.Function + " " + p.StatementID
	if has(m.permissions, key) {
		return fmt.Errorf("statement %q: %w", p.StatementID, iot.ErrExists)
	}
	m.permissions[key] = p
	return nil
}

func (m *memory) Permissions(function string) ([]iot.Permission, error) {
	return pageOf(m.permissions, function, len(m.permissions))
}

func (m *memory) DeletePermission(function, id string) error {
	_, err := fetch(m.permissions, "statement", function+" "+id)
	delete(m.permissions, function+" "+id)
	return err
}

func (m *memory) publish(_ context.Context, msg *iot.Message) error {
	m.published = append(m.published, msg)
	return m.publishErr
}

func (m *memory) insight() Insight {
	return Insight{
		Status: func() Status {
			return Status{
				Version: "v1.0.0", Started: testNow(), Region: "us-east-1", Account: "123456789012", Endpoint: "iot.example",
				Addresses:      Addresses{Device: "127.0.0.1:8883", Gateway: "127.0.0.1:8080", Control: "127.0.0.1:4566"},
				WebSocketAPIID: "fieldline", WebSocketURL: "ws://127.0.0.1:8080/prod", GatewayURL: "http://127.0.0.1:8080", GatewayAccess: GatewayOpen, LastSeq: 7,
			}
		},
		Clients:     m.clients(),
		Connections: func() ([]iot.Connection, error) { return nil, nil },
		Rules:       func() []iot.RuleStatus { return nil },
		Logs: func(function string, from uint64) ([]iot.LogLine, error) {
			if !m.Exists(function) {
				return nil, fmt.Errorf("function %q: %w", function, iot.ErrNotFound)
			}
			return []iot.LogLine{{N: from, At: testNow(), Text: "Raw event: {}"}}, nil
		},
		DeadLetters: &letters{},
		Login:       func() (string, error) { return "http://127.0.0.1:8080/login?token=T", nil },
		Trace:       bench{}.trace,
		Listen: func(_ context.Context, _ string, each func(*iot.Message, uint64) error) error {
			return errors.Join(each(nil, 0),
				each(&iot.Message{Topic: "sensor/data", Payload: []byte(`{"t":1}`), QoS: 1, Origin: iot.Origin{ClientID: "MyDevice001", Arrived: testNow()}}, 0),
				each(&iot.Message{Topic: "raw", Payload: []byte{0xff}}, 3))
		},
	}
}

func (m *memory) retained() map[string]*iot.Message {
	user := []iot.UserProperty{{Key: "site", Value: "7"}, {Key: "site", Value: "8"}}
	return map[string]*iot.Message{
		"site/7": {Topic: "site/7", Payload: []byte("on"), QoS: 1, Properties: &iot.Properties{User: user}, Origin: iot.Origin{Arrived: testNow()}},
		"site/8": {Topic: "site/8", Payload: []byte{0xff}, Origin: iot.Origin{Arrived: testNow()}},
	}
}

func (m *memory) RetainedMessage(topic string) (*iot.Message, error) {
	return fetch(m.retained(), "retained message of topic", topic)
}

func (m *memory) RetainedTopics(after string, limit int) ([]iot.RetainedSummary, error) {
	list, err := pageOf(m.retained(), after, limit)
	var summaries []iot.RetainedSummary
	for _, r := range list {
		summaries = append(summaries, iot.RetainedSummary{Topic: r.Topic, PayloadSize: len(r.Payload), QoS: r.QoS, Modified: r.Origin.Arrived})
	}
	return summaries, err
}

func (m *memory) disconnect(clientID string, cleanSession, preventWill bool) bool {
	m.disconnected = append(m.disconnected, fmt.Sprint(clientID, " ", cleanSession, preventWill))
	return clientID == "MyDevice001"
}

func (m *memory) config() Config {
	cas := &authorities{memory: m, cas: map[string]iot.CACertificate{}, code: "c0de"}
	webhooks := destinations{}
	return Config{
		Destinations: webhooks, ConfirmDestination: webhooks.confirm,
		CACertificates: cas, Registrar: cas, Lifecycle: cas,
		Account: testAccount(), Endpoint: "iot.example", Now: testNow,
		Secret: func(key string) (string, bool) { return testSecret, key == testKey },
		Things: m, ThingAttachments: m, Certificates: m, Policies: m, PolicyAttachments: m, Authority: m,
		RuleReader: m, RuleEditor: m, Functions: m, Permissions: m, Publish: m.publish, Retained: m, Disconnect: m.disconnect, Insight: m.insight(), Workbench: bench{}, Logs: newFakeLogs(), IAM: newFakeIAM(),
		MetricsHandler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "fieldline_up 1") }),
	}
}

func newTestAPI(tb testing.TB, m *memory) *API {
	tb.Helper()
	api, err := New(m.config())
	if err != nil {
		tb.Fatal(err)
	}
	return api
}

// call is one request to the API.
type call struct {
	service, method, target string
	region                  string // "" is ours
	header                  map[string]string
	body                    string
}

func (c call) request() *http.Request {
	r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	if c.service != "" {
		sigv4.Sign(r, []byte(c.body), sigv4.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret},
			c.service, cmp.Or(c.region, "us-east-1"), testNow())
	}
	return r
}

func (c call) do(api *API) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	api.ServeHTTP(w, c.request())
	return w
}

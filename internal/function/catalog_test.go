package function

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

var account = iot.Account{Region: "us-east-1", ID: "123456789012"}

// statements is a Permissions in memory.
type statements map[string][]iot.Permission

func (s statements) Permissions(function string) ([]iot.Permission, error) {
	return slices.Clone(s[function]), nil
}

func (s statements) PutPermission(p iot.Permission) error {
	s[p.Function] = append(s[p.Function], p)
	return nil
}

func (s statements) DeletePermission(function, id string) error {
	s[function] = slices.DeleteFunc(s[function], func(p iot.Permission) bool { return p.StatementID == id })
	return nil
}

// section is a Records in memory.
type section struct{ records map[string][]byte }

func (s *section) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		if key >= string(r.From) && key < string(r.To) {
			if more, err := visit([]byte(key), s.records[key]); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (s *section) Apply(writes []iot.Write, durable bool) error {
	if !durable {
		return errors.New("a change of a function must be durable")
	}
	for _, w := range writes {
		if w.Delete {
			delete(s.records, string(w.Key))
		} else {
			s.records[string(w.Key)] = w.Value
		}
	}
	return nil
}

// logged collects log events.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) add(e iot.LogEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, e.Group+" "+e.Stream+" "+e.Text)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// config is a configuration with everything in memory or in a folder of the test's.
func config(t *testing.T) Config {
	t.Helper()
	return Config{Account: account, Permissions: statements{}, Records: &section{make(map[string][]byte)}, Dir: t.TempDir()}
}

func newCatalog(t *testing.T) *Catalog {
	t.Helper()
	return open(t, config(t))
}

// open makes a catalog that the end of the test closes.
func open(t *testing.T, cfg Config) *Catalog {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return c
}

func TestRuleNeedsAPermission(t *testing.T) {
	rule := account.ARN("iot", "rule/SendToLambdaRule")
	tests := []struct {
		name   string
		change func(*iot.Permission)
		want   bool
	}{
		{"the guide's", func(*iot.Permission) {}, true},
		{"without a source", func(p *iot.Permission) { p.SourceARN = "" }, true},
		{"any rule", func(p *iot.Permission) { p.SourceARN = account.ARN("iot", "rule/*") }, true},
		{"of this account", func(p *iot.Permission) { p.SourceAccount = account.ID }, true},
		{"of another account", func(p *iot.Permission) { p.SourceAccount = "999999999999" }, false},
		{"another rule", func(p *iot.Permission) { p.SourceARN = account.ARN("iot", "rule/Other") }, false},
		{"another service", func(p *iot.Permission) { p.Principal = "apigateway.amazonaws.com" }, false},
		{"another action", func(p *iot.Permission) { p.Action = "lambda:GetFunction" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCatalog(t)
			p := iot.Permission{Function: ProcessIoTData, StatementID: "iot-invoke", Action: "lambda:InvokeFunction", Principal: "iot.amazonaws.com", SourceARN: rule}
			tt.change(&p)
			if err := c.PutPermission(p); err != nil {
				t.Fatal(err)
			}
			err := c.AllowRule(ProcessIoTData, rule)
			if (err == nil) != tt.want {
				t.Errorf("AllowRule = %v, want allowed %v", err, tt.want)
			}
			if err != nil && (!errors.Is(err, iot.ErrDenied) || !strings.Contains(err.Error(), "aws lambda add-permission --function-name ProcessIoTData")) {
				t.Errorf("AllowRule = %v, which names no mend", err)
			}
			if err := c.DeletePermission(ProcessIoTData, "iot-invoke"); err != nil {
				t.Fatal(err)
			}
			if err := c.AllowRule(ProcessIoTData, rule); !errors.Is(err, iot.ErrDenied) {
				t.Errorf("after removing the permission AllowRule = %v", err)
			}
		})
	}
}

func TestPermissionNeedsAFunction(t *testing.T) {
	c := newCatalog(t)
	if err := c.PutPermission(iot.Permission{Function: "Missing"}); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("PutPermission = %v", err)
	}
	if err := c.AllowRule("Missing", "arn"); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("AllowRule = %v", err)
	}
}

func TestServiceNeedsAPermissionOfItsOwn(t *testing.T) {
	c := newCatalog(t)
	api := account.ARN("execute-api", "abc/*/$connect")
	if err := c.PutPermission(iot.Permission{Function: OnConnect, StatementID: "gateway", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com", SourceARN: api}); err != nil {
		t.Fatal(err)
	}
	if err := c.Allow(OnConnect, "apigateway.amazonaws.com", account.ARN("execute-api", "abc/prod/$connect")); err != nil {
		t.Errorf("the API that was granted: %v", err)
	}
	err := c.Allow(OnConnect, "apigateway.amazonaws.com", account.ARN("execute-api", "other/prod/$connect"))
	if !errors.Is(err, iot.ErrDenied) || !strings.Contains(err.Error(), "--statement-id apigateway-invoke") {
		t.Errorf("another API: %v", err)
	}
	if err := c.AllowRule(OnConnect, account.ARN("iot", "rule/r")); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("a rule: %v", err)
	}
}

func TestEvaluateRefusalIsLogged(t *testing.T) {
	var log logged
	cfg := config(t)
	cfg.Logs = log.add
	c := open(t, cfg)
	_, err := c.Evaluate(ProcessIoTData, nil, []byte("no JSON"), iot.Origin{Arrived: time.Now()})
	if !errors.Is(err, iot.ErrInvalid) {
		t.Fatalf("Evaluate = %v", err)
	}
	if !strings.Contains(log.String(), "/aws/lambda/ProcessIoTData built-in refused: the payload is not JSON") {
		t.Errorf("log %q", log.String())
	}
}

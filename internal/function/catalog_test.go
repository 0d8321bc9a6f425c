package function

import (
	"errors"
	"slices"
	"strings"
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

func newCatalog(t *testing.T) *Catalog {
	t.Helper()
	c, err := New(Config{Account: account, Permissions: statements{}})
	if err != nil {
		t.Fatal(err)
	}
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

func TestLike(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"*", "", true},
		{"**a**", "xax", true},
		{"a*b*c", "aXbYbZc", true},
		{"", "x", false},
		{strings.Repeat("a*", 60) + "b", strings.Repeat("a", 5000), false},
	}
	for _, tt := range tests {
		if got := like(tt.pattern, tt.text); got != tt.want {
			t.Errorf("like(%.20q, %.20q) = %v", tt.pattern, tt.text, got)
		}
	}
}

func TestEvaluateRefusalIsLogged(t *testing.T) {
	c := newCatalog(t)
	_, err := c.Evaluate(ProcessIoTData, nil, []byte("no JSON"), iot.Origin{Arrived: time.Now()})
	if !errors.Is(err, iot.ErrInvalid) {
		t.Fatalf("Evaluate = %v", err)
	}
	log, err := c.Log(ProcessIoTData)
	if err != nil {
		t.Fatal(err)
	}
	if lines := log.Lines(0); len(lines) != 1 || !strings.Contains(lines[0].Text, "not JSON") {
		t.Errorf("log %v", lines)
	}
}

func TestLogKeepsTheLatestLines(t *testing.T) {
	l := newLog()
	for range logLines + 10 {
		l.Add("line", nil)
	}
	lines := l.Lines(0)
	if len(lines) != logLines || lines[0].N != 10 || lines[len(lines)-1].N != logLines+9 {
		t.Errorf("%d lines from %d", len(lines), lines[0].N)
	}
	if more := l.Lines(logLines + 8); len(more) != 2 {
		t.Errorf("from the last but one: %d lines", len(more))
	}
	if none := l.Lines(1 << 40); len(none) != 0 {
		t.Errorf("from the future: %d lines", len(none))
	}
}

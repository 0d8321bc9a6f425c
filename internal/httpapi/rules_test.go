package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// rules are topic rules in memory.
type rules map[string]iot.Rule

func (r rules) Rule(name string) (iot.Rule, error) { return find(r, "rule", name) }

func (r rules) Create(rule iot.Rule) error {
	if _, ok := r[rule.Name]; ok {
		return fmt.Errorf("rule %q: %w", rule.Name, iot.ErrExists)
	}
	for _, a := range rule.Actions {
		switch a.Kind {
		case "republish":
			if _, err := iotsql.ParseTemplate(string(a.Config), rule.SQLVersion); err != nil {
				return fmt.Errorf("republish action: %w", err)
			}
		case "lambda":
			return fmt.Errorf("function %q: %w", "nobody", iot.ErrNotFound)
		default:
			return fmt.Errorf("action %q: %w", a.Kind, iot.ErrUnsupported)
		}
	}
	r[rule.Name] = rule
	return nil
}

func (r rules) SetDisabled(name string, disabled bool) error {
	rule, err := r.Rule(name)
	if err == nil {
		rule.Disabled = disabled
		r[name] = rule
	}
	return err
}

func (r rules) Replace(rule iot.Rule) error {
	r[rule.Name] = rule
	return nil
}

func (r rules) Delete(name string) error {
	delete(r, name)
	return nil
}

func TestRulesAreCreatedChangedAndDeleted(t *testing.T) {
	all := rules{}
	a := serve(t, newWorld(), func(c *Config) { c.Rules = all })
	headers := operatorOf(a)
	step := func(method, target, body string, status int, want string) {
		t.Helper()
		res := ask(a, method, target, body, headers...)
		if got := bodyOf(t, res); res.StatusCode != status || got != want {
			t.Errorf("%s %s: %s %s", method, target, res.Status, got)
		}
	}
	step("POST", "/api/rules", `{"ruleName":"R","sql":"SELECT * FROM 'a'","awsIotSqlVersion":"2016-03-23","description":"d","actions":[{"republish":{"topic":"b"}}],"errorAction":{"republish":{"topic":"e"}}}`, 201, `{"ruleName":"R"}`)
	r := all["R"]
	if r.SQL != "SELECT * FROM 'a'" || r.SQLVersion != "2016-03-23" || r.Description != "d" || r.Disabled || r.Created.UnixMilli() != 1_000_000 ||
		len(r.Actions) != 1 || r.Actions[0].Kind != "republish" || r.ErrorAction == nil || string(r.ErrorAction.Config) != `{"topic":"e"}` {
		t.Errorf("created %+v", r)
	}
	definition := `{"ruleName":"R","sql":"SELECT b FROM 'a'","awsIotSqlVersion":"2015-10-08","description":"","ruleDisabled":false,"actions":[{"republish":{"topic":"c"}}]}`
	step("PATCH", "/api/rules/R", definition, 204, "")
	step("GET", "/api/rules/R", "", 200, definition)
	step("POST", "/api/rules/R/disable", "", 204, "")
	if !all["R"].Disabled {
		t.Error("it is enabled")
	}
	step("POST", "/api/rules/R/enable", "", 204, "")
	if all["R"].Disabled {
		t.Error("it is disabled")
	}
	step("POST", "/api/rules", `{"ruleName":"Old","sql":"SELECT * FROM 'a'","ruleDisabled":true,"actions":[]}`, 201, `{"ruleName":"Old"}`)
	if old := all["Old"]; old.SQLVersion != "2015-10-08" || !old.Disabled {
		t.Errorf("created %+v", old)
	}
	step("DELETE", "/api/rules/R", "", 204, "")
	if len(all) != 1 {
		t.Errorf("%d rules are left", len(all))
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	all := rules{"R": {Name: "R"}}
	a := serve(t, newWorld(), func(c *Config) { c.Rules = all })
	headers := operatorOf(a)
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		says                       string
	}{
		{"the statement", "POST", "/api/rules", `{"ruleName":"N","sql":"SELEC *","actions":[]}`, 400, `"offset":0,"want":"SELECT","found":"\"SELEC\"","caret":"SELEC *\n^"`},
		{"a function of it that Fieldline lacks", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT get_secret('a', 'b') AS s FROM 'a'","awsIotSqlVersion":"2016-03-23","actions":[]}`, 400, `"offset":7,`},
		{"a template", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[{"republish":"${1 +}"}]}`, 400, "a template of an action is wrong"},
		{"a function that is not there", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[{"lambda":{}}]}`, 400, "the rule names what is not there"},
		{"an action that Fieldline lacks", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[{"sns":{}}]}`, 400, `action \"sns\"`},
		{"an action of two kinds", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[{"sns":{},"sqs":{}}]}`, 400, "exactly one kind"},
		{"eleven actions", "POST", "/api/rules", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[` + strings.Repeat(`{"sns":{}},`, 10) + `{"sns":{}}]}`, 400, "at most 10"},
		{"a name", "POST", "/api/rules", `{"ruleName":"no-dash","sql":"SELECT * FROM 'a'","actions":[]}`, 400, "no-dash"},
		{"a member", "POST", "/api/rules", `{"name":"N","sql":"SELECT * FROM 'a'","actions":[]}`, 400, "name"},
		{"a rule that exists", "POST", "/api/rules", `{"ruleName":"R","sql":"SELECT * FROM 'a'","actions":[]}`, 409, "R"},
		{"changing none", "PATCH", "/api/rules/N", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[]}`, 404, "N"},
		{"changing another", "PATCH", "/api/rules/R", `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[]}`, 400, "not the rule"},
		{"changing its statement", "PATCH", "/api/rules/R", `{"ruleName":"R","sql":"SELEC *","actions":[]}`, 400, `"offset":0,`},
		{"showing none", "GET", "/api/rules/N", "", 404, "N"},
		{"deleting none", "DELETE", "/api/rules/N", "", 404, "N"},
		{"enabling none", "POST", "/api/rules/N/enable", "", 404, "N"},
		{"disabling none", "POST", "/api/rules/N/disable", "", 404, "N"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problem(t, ask(a, tt.method, tt.target, tt.body, headers...), tt.status, tt.says)
			if len(all) != 1 {
				t.Errorf("rules %v", all)
			}
		})
	}
}

func TestOnlyTheOperatorChangesRules(t *testing.T) {
	all := rules{"R": {Name: "R"}}
	a := serve(t, newWorld(), func(c *Config) { c.Rules = all })
	for _, target := range []string{"POST /api/rules", "DELETE /api/rules/R", "PATCH /api/rules/R", "POST /api/rules/R/disable", "POST /api/rules/R/enable"} {
		method, path, _ := strings.Cut(target, " ")
		problem(t, ask(a, method, path, `{"ruleName":"N","sql":"SELECT * FROM 'a'","actions":[]}`), 401, "fieldline login")
	}
	if len(all) != 1 || all["R"].Disabled {
		t.Errorf("rules %v", all)
	}
}

// httpLetter is the one letter there is.
type httpLetter struct {
	*letters
	letter iot.DeadEntry
}

func (l httpLetter) List(uint64, int) ([]iot.DeadEntry, error) { return []iot.DeadEntry{l.letter}, nil }
func (l httpLetter) Letter(uint64) (iot.DeadEntry, error)      { return l.letter, nil }

// TestHeadersAreHiddenHoweverTheyAreSpelt: a rule's configuration is read without
// regard to the case of its members.
func TestHeadersAreHiddenHoweverTheyAreSpelt(t *testing.T) {
	for _, config := range []string{
		`{"Headers":[{"key":"Authorization","value":"Bearer s3cret"}]}`,
		`{"headers":[],"HEADERS":[{"Key":"Authorization","VALUE":"Bearer s3cret"}]}`,
		`{"headers":{"Authorization":"Bearer s3cret"}}`,
	} {
		all := rules{"R": {Name: "R", Actions: []iot.Action{{Kind: "http", Config: json.RawMessage(config)}}}}
		a := serve(t, newWorld(), func(c *Config) { c.Rules = all })
		if body := bodyOf(t, ask(a, "GET", "/api/rules/R", "")); strings.Contains(body, "s3cret") || !strings.Contains(body, "(hidden)") {
			t.Errorf("of %s another sees %s", config, body)
		}
	}
}

func TestOnlyTheOperatorSeesTheSecretsOfRequests(t *testing.T) {
	post := iot.Action{Kind: "http", Config: json.RawMessage(`{"headers":[{"key":"Authorization","value":"Bearer s3cret"}],"URL":"https://h/?key=s3cret"}`)}
	all := rules{"R": {Name: "R", Actions: []iot.Action{post}, ErrorAction: &post}}
	letter := iot.DeadEntry{ID: 1, DeadLetter: iot.DeadLetter{Outbox: "http/R/0", Body: []byte("Bearer s3cret")}}
	a := serve(t, newWorld(), func(c *Config) { c.Rules, c.DeadLetters = all, httpLetter{new(letters), letter} })
	encoded := base64.StdEncoding.EncodeToString(letter.Body)
	for _, target := range []string{"/api/rules/R", "/api/dead-letters", "/api/dead-letters/1"} {
		for who, headers := range map[string][]string{"operator": operatorOf(a), "another": nil} {
			res := ask(a, "GET", target, "", headers...)
			body := bodyOf(t, res)
			seen := strings.Contains(body, "s3cret") || strings.Contains(body, encoded)
			if res.StatusCode != 200 || seen != (who == "operator") {
				t.Errorf("%s sees %s: %s %s", who, target, res.Status, body)
			}
		}
	}
}

package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Rules changes the topic rules, in force from the next message on. Errors wrap
// [iot.ErrNotFound] when the rule is not there.
type Rules interface {
	Rule(name string) (iot.Rule, error)
	// Create fails with [iot.ErrExists]. A statement or a template that does not
	// parse is an [*iotsql.SyntaxError], what Fieldline lacks wraps
	// [iot.ErrUnsupported].
	Create(iot.Rule) error
	// Replace puts a rule in the place of the one of its name, and fails as Create.
	Replace(iot.Rule) error
	SetDisabled(name string, disabled bool) error
	Delete(name string) error
}

// maxActions is how many actions a rule may have, as on AWS.
const maxActions = 10

// ruleRoutes are there when the rules may be changed.
func (a *API) ruleRoutes(mux *http.ServeMux) {
	if a.cfg.Rules == nil {
		return
	}
	mux.HandleFunc("POST /api/rules", a.changing(a.serveCreateRule))
	mux.HandleFunc("GET /api/rules/{name}", a.looking(a.serveRule))
	mux.HandleFunc("PATCH /api/rules/{name}", a.changing(a.serveReplaceRule))
	mux.HandleFunc("DELETE /api/rules/{name}", a.changing(a.serveDeleteRule))
	mux.HandleFunc("POST /api/rules/{name}/enable", a.changing(a.switchRule(false)))
	mux.HandleFunc("POST /api/rules/{name}/disable", a.changing(a.switchRule(true)))
}

// ruleDefinition is a rule as AWS has it, with its name.
type ruleDefinition struct {
	RuleName         string       `json:"ruleName"`
	SQL              string       `json:"sql"`
	AWSIoTSQLVersion string       `json:"awsIotSqlVersion"`
	Description      string       `json:"description"`
	RuleDisabled     bool         `json:"ruleDisabled"`
	Actions          []iot.Action `json:"actions"`
	ErrorAction      *iot.Action  `json:"errorAction,omitempty"`
}

func (in *ruleDefinition) rule() (iot.Rule, error) {
	if !iot.ValidRuleName(in.RuleName) {
		return iot.Rule{}, fmt.Errorf("ruleName %q: a rule's name is made of 1 to 128 letters, digits and _: %w", in.RuleName, iot.ErrInvalid)
	}
	if len(in.Actions) > maxActions {
		return iot.Rule{}, fmt.Errorf("a rule has at most %d actions, not %d: %w", maxActions, len(in.Actions), iot.ErrInvalid)
	}
	return iot.Rule{
		Name: in.RuleName, SQL: in.SQL, SQLVersion: cmp.Or(in.AWSIoTSQLVersion, "2015-10-08"), Description: in.Description,
		Disabled: in.RuleDisabled, Actions: in.Actions, ErrorAction: in.ErrorAction,
	}, nil
}

// serveRule answers a rule's definition, as POST takes it. The headers and queries of
// its requests, which may hold secrets, are shown to the operator only.
func (a *API) serveRule(w http.ResponseWriter, r *http.Request) {
	rule, err := a.cfg.Rules.Rule(r.PathValue("name"))
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	if !a.Operator(r) {
		rule = withoutSecrets(rule)
	}
	writeJSON(w, http.StatusOK, ruleDefinition{
		RuleName: rule.Name, SQL: rule.SQL, AWSIoTSQLVersion: rule.SQLVersion, Description: rule.Description,
		RuleDisabled: rule.Disabled, Actions: orEmpty(rule.Actions), ErrorAction: rule.ErrorAction,
	})
}

// withoutSecrets returns the rule with the values of its http actions' headers and the
// queries of their URLs hidden.
func withoutSecrets(rule iot.Rule) iot.Rule {
	hide := func(a iot.Action) iot.Action {
		var config map[string]json.RawMessage
		if a.Kind != "http" || json.Unmarshal(a.Config, &config) != nil {
			return a
		}
		for member, value := range config {
			switch strings.ToLower(member) { // a rule's configuration is read in any case
			case "headers":
				config[member] = hiddenHeaders(value)
			case "url", "confirmationurl":
				config[member] = hiddenQuery(value)
			}
		}
		a.Config, _ = json.Marshal(config)
		return a
	}
	rule.Actions = slices.Clone(rule.Actions)
	for i, a := range rule.Actions {
		rule.Actions[i] = hide(a)
	}
	if rule.ErrorAction != nil {
		hidden := hide(*rule.ErrorAction)
		rule.ErrorAction = &hidden
	}
	return rule
}

// hiddenQuery returns a URL without what its query says.
func hiddenQuery(url json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(url, &text) != nil {
		return json.RawMessage(`"(hidden)"`)
	}
	if path, _, queried := strings.Cut(text, "?"); queried {
		text = path + "?(hidden)"
	}
	hidden, _ := json.Marshal(text) // texts always encode
	return hidden
}

// hiddenHeaders returns a list of headers without their values.
func hiddenHeaders(list json.RawMessage) json.RawMessage {
	var headers []iot.Header
	if json.Unmarshal(list, &headers) != nil {
		return json.RawMessage(`"(hidden)"`)
	}
	for i := range headers {
		headers[i].Value = "(hidden)"
	}
	hidden, _ := json.Marshal(headers) // texts always encode
	return hidden
}

func (a *API) serveCreateRule(w http.ResponseWriter, r *http.Request) {
	if name, ok := a.changeRule(w, r, a.cfg.Rules.Create); ok {
		a.cfg.Log.Info("rule created", "rule", name)
		writeJSON(w, http.StatusCreated, struct {
			RuleName string `json:"ruleName"`
		}{name})
	}
}

func (a *API) serveReplaceRule(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, err := a.cfg.Rules.Rule(name); err != nil {
		a.writeError(w, r, err)
		return
	}
	replace := func(rule iot.Rule) error {
		if rule.Name != name {
			return fmt.Errorf("ruleName %q is not the rule %q of the address: %w", rule.Name, name, iot.ErrInvalid)
		}
		return a.cfg.Rules.Replace(rule)
	}
	if _, ok := a.changeRule(w, r, replace); ok {
		a.cfg.Log.Info("rule replaced", "rule", name)
		w.WriteHeader(http.StatusNoContent)
	}
}

// changeRule has the rule that a request's body is changed, or answers why it is not.
func (a *API) changeRule(w http.ResponseWriter, r *http.Request, change func(iot.Rule) error) (name string, ok bool) {
	var in ruleDefinition
	if err := decodeBody(r, &in); err != nil {
		a.writeError(w, r, err)
		return "", false
	}
	rule, err := in.rule()
	if err != nil {
		a.writeError(w, r, err)
		return "", false
	}
	rule.Created = a.cfg.Now()
	// A syntax error of the change may be of a template, where its offset means
	// nothing to an editor of the statement.
	if _, err := iotsql.Parse(rule.SQL, rule.SQLVersion); err != nil {
		a.writeSQLError(w, r, err)
		return "", false
	}
	if err := change(rule); err != nil {
		a.writeRuleError(w, r, err)
		return "", false
	}
	return rule.Name, true
}

// writeRuleError answers why a rule whose statement is right was refused.
func (a *API) writeRuleError(w http.ResponseWriter, r *http.Request, err error) {
	if wrong, ok := errors.AsType[*iotsql.SyntaxError](err); ok {
		writeProblem(w, http.StatusBadRequest, "a template of an action is wrong", err.Error()+"\n"+wrong.Caret())
		return
	}
	if errors.Is(err, iot.ErrNotFound) { // of what the rule names, not the rule
		writeProblem(w, http.StatusBadRequest, "the rule names what is not there", err.Error())
		return
	}
	a.writeSQLError(w, r, err)
}

func (a *API) serveDeleteRule(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	_, err := a.cfg.Rules.Rule(name) // deleting succeeds for any name: say when there is none
	if err == nil {
		err = a.cfg.Rules.Delete(name)
	}
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	a.cfg.Log.Info("rule deleted", "rule", name)
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) switchRule(disabled bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if err := a.cfg.Rules.SetDisabled(name, disabled); err != nil {
			a.writeError(w, r, err)
			return
		}
		a.cfg.Log.Info("rule switched", "rule", name, "disabled", disabled)
		w.WriteHeader(http.StatusNoContent)
	}
}

// sqlProblem says where a statement is wrong.
type sqlProblem struct {
	telemetry.Problem
	Message string `json:"message"` // the detail, as the control API has it
	Offset  int    `json:"offset"`  // in bytes of the statement
	Want    string `json:"want"`
	Found   string `json:"found"`
	Caret   string `json:"caret"` // the line, and one with a mark under the place
}

// writeSQLError is writeError for what is about a statement.
func (a *API) writeSQLError(w http.ResponseWriter, r *http.Request, err error) {
	wrong, ok := errors.AsType[*iotsql.SyntaxError](err)
	switch {
	case ok:
		title := "the statement does not parse"
		if wrong.Unsupported != "" {
			title = "the statement uses what Fieldline does not support"
		}
		body, _ := json.Marshal(sqlProblem{ // plain text always marshals
			telemetry.Problem{Type: "about:blank", Title: title, Status: http.StatusBadRequest, Detail: err.Error()},
			err.Error(), wrong.Offset, wrong.Want, wrong.Found, wrong.Caret(),
		})
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(body) // the client may be gone
	case errors.Is(err, iot.ErrUnsupported):
		writeProblem(w, http.StatusBadRequest, "not supported", err.Error())
	default:
		a.writeError(w, r, err)
	}
}

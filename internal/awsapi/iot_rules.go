package awsapi

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Limits of topic rules.
const (
	maxActions  = 10    // of one rule
	maxRulePage = 10000 // ListTopicRules' largest page
)

func (a *API) ruleOperations() []operation {
	return []operation{
		{"CreateTopicRule", "POST", "/rules/{ruleName}", 200, a.createTopicRule},
		{"GetTopicRule", "GET", "/rules/{ruleName}", 200, a.getTopicRule},
		{"ListTopicRules", "GET", "/rules", 200, a.listTopicRules},
		{"ReplaceTopicRule", "PATCH", "/rules/{ruleName}", 200, a.replaceTopicRule},
		{"EnableTopicRule", "POST", "/rules/{ruleName}/enable", 200, a.enableTopicRule},
		{"DisableTopicRule", "POST", "/rules/{ruleName}/disable", 200, a.disableTopicRule},
		{"DeleteTopicRule", "DELETE", "/rules/{ruleName}", 200, a.deleteTopicRule},
	}
}

// topicRulePayload is iot's TopicRulePayload.
type topicRulePayload struct {
	SQL              *string       `json:"sql"`
	Description      string        `json:"description"`
	Actions          *[]iot.Action `json:"actions"`
	RuleDisabled     bool          `json:"ruleDisabled"`
	AWSIoTSQLVersion string        `json:"awsIotSqlVersion"`
	ErrorAction      *iot.Action   `json:"errorAction"`
}

// ruleInput reads a rule. Its statement and actions are judged by the engine.
func (a *API) ruleInput(q *request) (iot.Rule, error) {
	var in topicRulePayload
	name, err := q.ruleName()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return iot.Rule{}, err
	}
	if err := refuseMembers(present{"tags", q.http.Header.Get("x-amz-tagging") != ""}); err != nil {
		return iot.Rule{}, err
	}
	switch {
	case in.SQL == nil:
		return iot.Rule{}, required("topicRulePayload.sql")
	case in.Actions == nil:
		return iot.Rule{}, required("topicRulePayload.actions")
	case len(*in.Actions) > maxActions:
		return iot.Rule{}, fmt.Errorf("a rule has at most %d actions, not %d: %w", maxActions, len(*in.Actions), iot.ErrInvalid)
	}
	if in.AWSIoTSQLVersion == "" {
		in.AWSIoTSQLVersion = "2015-10-08"
	}
	return iot.Rule{
		Name: name, SQL: *in.SQL, SQLVersion: in.AWSIoTSQLVersion, Description: in.Description,
		Disabled: in.RuleDisabled, Created: a.cfg.Now(), Actions: *in.Actions, ErrorAction: in.ErrorAction,
	}, nil
}

// badRule refuses a rule that names what is not there, such as a function of
// another account: what is missing is not what the request is about.
func badRule(err error) error {
	if errors.Is(err, iot.ErrNotFound) {
		return coded(codeInvalidRequest, err)
	}
	return err
}

// noSuchRule gives a missing rule the name that AWS gives it, and clients know:
// these operations never answer ResourceNotFoundException.
func noSuchRule(err error) error {
	if errors.Is(err, iot.ErrNotFound) {
		return coded(codeUnauthorized, err)
	}
	return err
}

func (a *API) createTopicRule(_ context.Context, q *request) (any, error) {
	r, err := a.ruleInput(q)
	if err != nil {
		return nil, err
	}
	return nil, badRule(a.cfg.RuleEditor.Create(r))
}

func (a *API) replaceTopicRule(_ context.Context, q *request) (any, error) {
	r, err := a.ruleInput(q)
	if err != nil {
		return nil, err
	}
	if _, err := a.cfg.RuleReader.Rule(r.Name); err != nil {
		return nil, noSuchRule(err)
	}
	return nil, badRule(a.cfg.RuleEditor.Replace(r))
}

func (a *API) ruleARN(name string) string { return a.cfg.Account.ARN("iot", "rule/"+name) }

// topicRule is iot's TopicRule.
type topicRule struct {
	RuleName         string       `json:"ruleName"`
	SQL              string       `json:"sql"`
	Description      string       `json:"description,omitempty"`
	CreatedAt        epoch        `json:"createdAt"`
	Actions          []iot.Action `json:"actions"`
	RuleDisabled     bool         `json:"ruleDisabled"`
	AWSIoTSQLVersion string       `json:"awsIotSqlVersion"`
	ErrorAction      *iot.Action  `json:"errorAction,omitempty"`
}

func (a *API) getTopicRule(_ context.Context, q *request) (any, error) {
	name, err := q.ruleName()
	if err != nil {
		return nil, err
	}
	r, err := a.cfg.RuleReader.Rule(name)
	if err != nil {
		return nil, noSuchRule(err)
	}
	if r.Actions == nil {
		r.Actions = []iot.Action{}
	}
	return struct {
		RuleARN string    `json:"ruleArn"`
		Rule    topicRule `json:"rule"`
	}{a.ruleARN(name), topicRule{
		r.Name, r.SQL, r.Description, epoch(r.Created), r.Actions, r.Disabled, r.SQLVersion, r.ErrorAction,
	}}, nil
}

// ruleItem is iot's TopicRuleListItem.
type ruleItem struct {
	RuleARN      string `json:"ruleArn"`
	RuleName     string `json:"ruleName"`
	TopicPattern string `json:"topicPattern"`
	CreatedAt    epoch  `json:"createdAt"`
	RuleDisabled bool   `json:"ruleDisabled"`
}

func (a *API) ruleItem(r *iot.Rule) ruleItem {
	item := ruleItem{RuleARN: a.ruleARN(r.Name), RuleName: r.Name, CreatedAt: epoch(r.Created), RuleDisabled: r.Disabled}
	if statement, err := iotsql.Parse(r.SQL, r.SQLVersion); err == nil {
		item.TopicPattern = statement.Filter()
	}
	return item
}

func (a *API) listTopicRules(_ context.Context, q *request) (any, error) {
	p, err := q.tokenPage(maxRulePage)
	if err != nil {
		return nil, err
	}
	disabled, err := q.boolean("ruleDisabled")
	if err != nil {
		return nil, err
	}
	rules, err := a.cfg.RuleReader.Rules()
	if err != nil {
		return nil, err
	}
	rules = rules[sort.Search(len(rules), func(i int) bool { return rules[i].Name > p.after }):]
	asked := q.query.Get("topic")
	items := []ruleItem{}
	for i := range rules {
		item := a.ruleItem(&rules[i])
		if q.query.Has("ruleDisabled") && item.RuleDisabled != disabled {
			continue
		}
		if asked == "" || item.TopicPattern == asked || topic.MatchRule(item.TopicPattern, asked) {
			items = append(items, item)
		}
	}
	items, next := take(p, items, func(r *ruleItem) string { return r.RuleName })
	return struct {
		Rules     []ruleItem `json:"rules"`
		NextToken string     `json:"nextToken,omitempty"`
	}{items, next}, nil
}

func (a *API) enableTopicRule(_ context.Context, q *request) (any, error) {
	return a.switchRule(q, false)
}

func (a *API) disableTopicRule(_ context.Context, q *request) (any, error) {
	return a.switchRule(q, true)
}

func (a *API) switchRule(q *request, disabled bool) (any, error) {
	name, err := q.ruleName()
	if err != nil {
		return nil, err
	}
	return nil, noSuchRule(a.cfg.RuleEditor.SetDisabled(name, disabled))
}

func (a *API) deleteTopicRule(_ context.Context, q *request) (any, error) {
	name, err := q.ruleName()
	if err != nil {
		return nil, err
	}
	return nil, noSuchRule(a.cfg.RuleEditor.Delete(name))
}

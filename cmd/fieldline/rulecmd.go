package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

func ruleCommand(t *target) *cobra.Command {
	return group("rule", "List, show, create, switch and follow topic rules", "  fieldline rule list\n  fieldline rule trace SendToLambdaRule",
		&cobra.Command{
			Use: "list", Short: "List rules with what they did since the server started", Example: "  fieldline rule list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return t.listRules(c) },
		},
		&cobra.Command{
			Use: "show NAME", Short: "Print a rule as AWS answers it", Example: "  fieldline rule show SendToLambdaRule", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				var rule json.RawMessage
				if err := t.iot(c.Context(), "GET", rulePath(args[0]), nil, &rule); err != nil {
					return err
				}
				return printIndented(c, rule)
			},
		},
		&cobra.Command{
			Use: "create NAME FILE.json", Short: "Create a rule from a payload as in the guide's iot-rule.json", Example: "  fieldline rule create SendToLambdaRule iot-rule.json", Args: cobra.ExactArgs(2),
			RunE: func(c *cobra.Command, args []string) error {
				payload, err := os.ReadFile(args[1])
				if err != nil {
					return err
				}
				err = t.call(c.Context(), request{service: "iot", method: "POST", path: rulePath(args[0]), body: payload}, nil, nil)
				return pointSQL(payload, err)
			},
		},
		t.ruleVerb("enable", "Enable a rule", "POST", "/enable"),
		t.ruleVerb("disable", "Disable a rule: it does not fire from the next message on", "POST", "/disable"),
		t.ruleVerb("delete", "Delete a rule", "DELETE", ""),
		t.traceRuleCommand(),
	)
}

func rulePath(name string) string { return "/rules/" + url.PathEscape(name) }

func (t *target) ruleVerb(use, short, method, suffix string) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Example: "  fieldline rule " + use + " SendToLambdaRule", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if suffix == "" { // DeleteTopicRule succeeds for any name: say when there is none
				if err := t.iot(c.Context(), "GET", rulePath(args[0]), nil, nil); err != nil {
					return err
				}
			}
			return t.iot(c.Context(), method, rulePath(args[0])+suffix, nil, nil)
		},
	}
}

// pointSQL puts a mark under the place where the statement of a payload stops making
// sense, when that is why the server refused it.
func pointSQL(payload []byte, refused error) error {
	api, ok := errors.AsType[*apiError](refused)
	if !ok || !strings.Contains(api.code, "SqlParseException") {
		return refused
	}
	var rule struct{ SQL, AWSIotSQLVersion string }
	if json.Unmarshal(payload, &rule) != nil {
		return refused
	}
	_, err := iotsql.Parse(rule.SQL, rule.AWSIotSQLVersion)
	if syntax, ok := errors.AsType[*iotsql.SyntaxError](err); ok {
		return fmt.Errorf("%w\n%s", refused, syntax.Caret())
	}
	return refused // of a template in an action
}

func (t *target) listRules(c *cobra.Command) error {
	var rules []iot.RuleStatus
	if err := t.fieldline(c.Context(), "GET", "rules", nil, &rules); err != nil {
		return err
	}
	out := newRows(c.OutOrStdout(), "RULE", "STATE", "MATCHED", "FIRED", "FAILED", "ACTIONS", "SQL")
	for _, r := range rules {
		raw, err := json.Marshal(r)
		if err != nil {
			return out.end(err)
		}
		state := "enabled"
		switch {
		case r.Broken:
			state = "broken"
		case !r.Enabled:
			state = "disabled"
		case !r.Permission:
			state = "no permission"
		}
		number := func(n uint64) string { return strconv.FormatUint(n, 10) }
		out.add(unescaped(raw), r.Name, state, number(r.Matched), number(r.Fired), number(r.Failed), cut(strings.Join(r.Actions, ", "), 48), r.SQL)
	}
	if err := out.end(nil); err != nil || out.table == nil {
		return err
	}
	for _, r := range rules {
		if r.LastError != "" {
			fmt.Fprintf(c.OutOrStdout(), "\n%s failed last: %s\n", r.Name, printable(r.LastError))
		}
	}
	return nil
}

// cut is the beginning of a text of more than n characters.
func cut(text string, n int) string {
	if letters := []rune(text); len(letters) > n {
		return string(letters[:n-1]) + "…"
	}
	return text
}

func printIndented(c *cobra.Command, raw json.RawMessage) error {
	var text bytes.Buffer
	if err := json.Indent(&text, unescaped(raw), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", text.Bytes())
	return err
}

// unescaped is JSON whose <, > and & are written as themselves, so that a statement
// can be read and copied.
func unescaped(raw []byte) []byte {
	escapes := regexp.MustCompile(`\\(?:u[0-9a-f]{4}|.)`)
	return escapes.ReplaceAllFunc(raw, func(escape []byte) []byte {
		switch string(escape) {
		case `\u003c`:
			return []byte("<")
		case `\u003e`:
			return []byte(">")
		case `\u0026`:
			return []byte("&")
		}
		return escape
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// verdict is what a check found.
type verdict string

const (
	good verdict = "ok"
	note verdict = "note" // worth knowing, nothing is wrong
	bad  verdict = "FAIL"
)

// finding is one line of the doctor's report.
type finding struct {
	verdict verdict
	subject string
	text    string
	mend    string // a command or a sentence; "" when nothing is to be done
}

// doctor examines one server.
type doctor struct {
	*target
	status awsapi.Status
}

func doctorCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check a running server and this host, one line each, with the mend",
		Long: `Checks the guide's list of troubles (its step 12) and the host: one line each with
what was found and how to mend it. Exit code 1 when something is wrong.`,
		Example: "  fieldline doctor",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			findings := (&doctor{target: t}).examine(c.Context())
			failed := 0
			for _, f := range findings {
				f.print(c.OutOrStdout())
				if f.verdict == bad {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d checks failed", failed, len(findings))
			}
			return nil
		},
	}
}

func (f *finding) print(w io.Writer) {
	fmt.Fprintf(w, "%-4s  %-13s %s\n", f.verdict, f.subject, f.text)
	if f.mend != "" {
		fmt.Fprintf(w, "%-4s  %-13s mend: %s\n", "", "", f.mend)
	}
}

// examine runs the checks. Without an answering server the later ones would only
// repeat that.
func (d *doctor) examine(ctx context.Context) []finding {
	findings := []finding{d.dataFolder()}
	answer := d.control(ctx)
	findings = append(findings, answer)
	if answer.verdict == bad {
		return append(findings, openFiles())
	}
	for _, check := range []func(context.Context) []finding{
		d.environment, d.connections, d.webSocket, d.gateway, d.rules, d.policies, d.certificates, d.deadLetters, d.functionLogs, d.deviceEndpointTLS, d.disk,
	} {
		findings = append(findings, check(ctx)...)
	}
	return append(findings, openFiles())
}

func (d *doctor) dataFolder() finding {
	info, err := os.Stat(d.data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return finding{bad, "data", d.data + " does not exist", "start the server with fieldline up, or name its folder with --data"}
	case err != nil:
		return finding{bad, "data", err.Error(), "let this user read the folder"}
	case info.Mode().Perm()&0o077 != 0:
		return finding{bad, "data", fmt.Sprintf("%s, which holds keys, is open to other users (%v)", d.data, info.Mode().Perm()), "chmod 700 " + shellQuote(d.data)}
	}
	return finding{good, "data", d.data, ""}
}

func (d *doctor) control(ctx context.Context) finding {
	status, err := d.target.status(ctx)
	if api := new(apiError); errors.As(err, &api) {
		return finding{bad, "control", err.Error(), "the credentials of --data " + d.data + " are not this server's: name its data folder"}
	}
	if err != nil {
		return finding{bad, "control", err.Error(), "start the server with fieldline up"}
	}
	d.status = status
	return finding{good, "control", fmt.Sprintf("%s answers, version %s", d.controlURL(), status.Version), ""}
}

// environment compares the guide's variables with the server (guide: check
// WEBSOCKET_API_ID, WEBSOCKET_STAGE and the endpoint).
func (d *doctor) environment(context.Context) []finding {
	var findings []finding
	for _, v := range []struct{ name, want string }{
		{"WEBSOCKET_API_ID", d.status.WebSocketAPIID},
		{"WEBSOCKET_STAGE", "prod"},
		{"WEBSOCKET_URL", d.status.WebSocketURL},
		{"AWS_ENDPOINT_URL", d.controlURL()},
		{"AWS_REGION", d.status.Region},
		{"ACCOUNT_ID", d.status.Account},
	} {
		if got := os.Getenv(v.name); got != "" && got != v.want {
			findings = append(findings, finding{bad, "environment", fmt.Sprintf("%s is %s, this server's is %s", v.name, got, v.want), `eval "$(fieldline env)"`})
		}
	}
	if findings == nil {
		findings = append(findings, finding{good, "environment", "the guide's variables fit this server, where they are set", ""})
	}
	return findings
}

// connections counts who is listening (guide: clients receive nothing).
func (d *doctor) connections(ctx context.Context) []finding {
	var list []struct{}
	if err := d.fieldline(ctx, "GET", "connections", nil, &list); err != nil {
		return []finding{{bad, "connections", err.Error(), ""}}
	}
	if len(list) == 0 {
		return []finding{{note, "connections", "WebsocketConnections is empty: nobody receives pushes now", "open " + d.status.GatewayURL + "/ or run fieldline watch"}}
	}
	return []finding{{good, "connections", fmt.Sprintf("%d WebSocket clients in WebsocketConnections", len(list)), ""}}
}

// rules looks at what may keep the function from being invoked (guide: the rule
// fails to invoke the Lambda).
func (d *doctor) rules(ctx context.Context) []finding {
	var rules []iot.RuleStatus
	if err := d.fieldline(ctx, "GET", "rules", nil, &rules); err != nil {
		return []finding{{bad, "rule", err.Error(), ""}}
	}
	if len(rules) == 0 {
		return []finding{{bad, "rule", "there is no topic rule: messages are routed, but nothing is stored", "aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload file://iot-rule.json"}}
	}
	var findings []finding
	for _, r := range rules {
		findings = append(findings, d.rule(r)...)
	}
	return findings
}

// lambdaOf is the first function that a rule's actions invoke.
func lambdaOf(actions []string) string {
	for _, a := range actions {
		if function, ok := strings.CutPrefix(a, "lambda "); ok {
			return function
		}
	}
	return "FUNCTION"
}

func (d *doctor) rule(r iot.RuleStatus) []finding {
	var findings []finding
	if r.Broken {
		return []finding{{bad, "rule", r.Name + " is " + r.LastError, "replace it, or: fieldline rule delete " + r.Name}}
	}
	if !r.Enabled {
		findings = append(findings, finding{bad, "rule", r.Name + " is disabled", "fieldline rule enable " + r.Name})
	}
	if !r.Permission {
		function := lambdaOf(r.Actions)
		findings = append(findings, finding{
			bad, "permission", r.Name + " may not invoke " + function,
			fmt.Sprintf("aws lambda add-permission --function-name %s --statement-id iot-invoke --action lambda:InvokeFunction --principal iot.amazonaws.com --source-arn arn:aws:iot:%s:%s:rule/%s", function, d.status.Region, d.status.Account, r.Name),
		})
	}
	if findings == nil && r.Failed > 0 {
		findings = append(findings, finding{note, "rule", fmt.Sprintf("%s failed %d times; last: %s", r.Name, r.Failed, r.LastError), "fieldline rule trace " + r.Name})
	}
	if findings == nil {
		findings = append(findings, finding{good, "rule", fmt.Sprintf("%s fired for %d of %d messages on its topic", r.Name, r.Fired, r.Matched), ""})
	}
	return findings
}

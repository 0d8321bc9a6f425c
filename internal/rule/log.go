package rule

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// logGroup is where AWS IoT writes what its rules did. Here each rule has a stream
// of its name in it.
const logGroup = "AWSIotLogsV2"

// logEntry is one line of it (AWS IoT developer guide, CloudWatch Logs entries).
type logEntry struct {
	Timestamp string       `json:"timestamp"`
	Level     string       `json:"logLevel"`
	Trace     string       `json:"traceId"`
	Account   string       `json:"accountId"`
	Status    string       `json:"status"`
	Event     string       `json:"eventType"` // RuleMatch, RuleExecution or RuleNotFound
	Protocol  iot.Protocol `json:"protocol,omitempty"`
	Client    string       `json:"clientId,omitempty"`
	Topic     string       `json:"topicName"`
	Rule      string       `json:"ruleName"`
	Action    string       `json:"ruleAction,omitempty"`
	Principal string       `json:"principalId,omitempty"`
	Details   string       `json:"details,omitempty"`
}

// logsSuccess reports whether what went well is logged too: at debug only, since
// every message would be.
func (e *Engine) logsSuccess() bool {
	return e.cfg.Logs != nil && e.cfg.Log.Enabled(context.Background(), slog.LevelDebug)
}

// logMatch logs that a message met a rule's filter.
func (r *run) logMatch() {
	r.writeRuleLog(logEntry{Level: "DEBUG", Status: "Success", Event: "RuleMatch"})
}

// logExecution logs that an action did its work.
func (r *run) logExecution(action string) {
	r.writeRuleLog(logEntry{Level: "DEBUG", Status: "Success", Event: "RuleExecution", Action: action})
}

// noRule is the log stream of the rules that are not there: devices choose their
// names, and each stream is kept. No rule can be called so.
const noRule = "rule-not-found"

// notFound logs and counts a message whose rule did not run.
func (r *run) notFound(why string) {
	e, m := r.engine, r.message
	e.missing.failures.Add(1)
	if e.cfg.Logs != nil {
		r.writeLog(noRule, logEntry{Level: "ERROR", Status: "Failure", Event: "RuleNotFound", Rule: m.Rule, Details: why})
	}
	if e.missing.first(m.Rule + why) {
		e.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "no rule for a message of Basic Ingest", slog.String("rule", m.Rule),
			slog.String("topic", m.Topic), slog.String("client", m.Origin.ClientID), slog.String("reason", why))
	}
}

// writeRuleLog writes an entry about the rule that is being evaluated.
func (r *run) writeRuleLog(entry logEntry) {
	entry.Rule = r.rule.rule.Name
	r.writeLog(entry.Rule, entry)
}

// writeLog completes an entry and hands it on.
func (r *run) writeLog(stream string, entry logEntry) {
	e, m := r.engine, r.message
	at := e.cfg.Now()
	entry.Timestamp, entry.Trace, entry.Account = at.UTC().Format("2006-01-02 15:04:05.000"), r.traceID(), e.cfg.Account.ID
	entry.Protocol, entry.Client, entry.Topic = m.Origin.Protocol, m.Origin.ClientID, m.Topic
	entry.Principal = m.Origin.Principal
	text, err := json.Marshal(entry)
	if err != nil { // texts always encode
		return
	}
	e.cfg.Logs(iot.LogEvent{Group: logGroup, Stream: stream, At: at, Text: string(text)})
}

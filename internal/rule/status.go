package rule

import (
	"context"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// In each period of sayAgain a rule logs a reason once, and at most maxReasons of
// them, for they hold what devices sent; what it did not log is counted.
const (
	sayAgain   = 10 * time.Second
	maxReasons = 20
)

// counters count what a rule did; they outlive changes of the rule.
type counters struct {
	matched, fired, failures atomic.Uint64
	disabled                 atomic.Int64 // when it was last logged that the rule is, in ns since the epoch

	mu        sync.Mutex
	lastError string
	said      map[string]bool // the reasons logged in this period
	began     time.Time       // of the period
}

func newCounters() *counters { return &counters{said: make(map[string]bool)} }

// first reports whether to log a reason, and notes it.
func (c *counters) first(reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.began) >= sayAgain {
		c.began = now
		clear(c.said)
	}
	if c.said[reason] || len(c.said) >= maxReasons {
		return false
	}
	c.said[reason] = true
	return true
}

// skipped logs why a rule that matches does nothing.
func (r *run) skipped(why string) {
	if r.rule.counters.first(why) {
		r.engine.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "rule did not fire", slog.String("rule", r.rule.rule.Name),
			slog.String("topic", r.message.Topic), slog.String("client", r.message.Origin.ClientID), slog.String("reason", why))
	}
}

// skippedDisabled logs that a disabled rule did nothing. Each message of its topic
// comes here, from every connection: a lock is taken once in a period only.
func (r *run) skippedDisabled() {
	c := r.rule.counters
	now, last := time.Now().UnixNano(), c.disabled.Load()
	if now-last >= int64(sayAgain) && c.disabled.CompareAndSwap(last, now) {
		r.skipped("the rule is disabled (aws iot enable-topic-rule --rule-name " + r.rule.rule.Name + ")")
	}
}

// failed counts, logs and traces one failure.
func (r *run) failed(f failure) {
	c := r.rule.counters
	c.failures.Add(1)
	reason := f.reason()
	c.mu.Lock()
	c.lastError = reason
	c.mu.Unlock()
	if f.action == statementAction {
		r.note(func(t *iot.RuleTrace) { t.Error = reason })
	}
	if r.engine.cfg.Logs != nil {
		r.writeRuleLog(logEntry{Level: "ERROR", Status: "Failure", Event: "RuleExecution", Action: f.action, Details: reason})
	}
	if c.first(reason) {
		r.engine.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "rule did not fire", slog.String("rule", r.rule.rule.Name),
			slog.String("action", f.action), slog.String("topic", r.message.Topic),
			slog.String("client", r.message.Origin.ClientID), slog.String("reason", reason))
	}
}

// Statuses returns the status of every rule, by name.
func (e *Engine) Statuses() []iot.RuleStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]iot.RuleStatus, 0, len(e.byName))
	for _, c := range e.byName {
		list = append(list, e.status(c))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func (e *Engine) status(c *compiled) iot.RuleStatus {
	s := iot.RuleStatus{
		Name: c.rule.Name, SQL: c.rule.SQL, Enabled: !c.rule.Disabled, Permission: true, Actions: []string{},
		Matched: c.counters.matched.Load(), Fired: c.counters.fired.Load(), Failed: c.counters.failures.Load(),
	}
	c.counters.mu.Lock()
	s.LastError = c.counters.lastError
	c.counters.mu.Unlock()
	if c.broken != nil {
		s.Broken, s.LastError = true, "not in force: "+c.broken.Error()
	}
	for i, a := range c.actions {
		target := a.target()
		if l, ok := a.(*lambdaAction); ok && l.function != "" {
			target = l.function
			s.Permission = s.Permission && e.cfg.Functions.AllowRule(l.function, c.arn) == nil
		}
		s.Actions = append(s.Actions, c.rule.Actions[i].Kind+" "+target)
	}
	return s
}

// Matching returns the names of the enabled rules whose topic filter matches, in
// order.
func (e *Engine) Matching(name string) []string {
	var names []string
	for _, c := range e.current.match(nil, name) {
		if !c.rule.Disabled {
			names = append(names, c.rule.Name)
		}
	}
	sort.Strings(names)
	return names
}

// registerMetrics exports the rules' counters.
func registerMetrics(r prometheus.Registerer, e *Engine) error {
	if r == nil {
		return nil
	}
	return r.Register(collector{e})
}

// collector reads the counters when they are asked for, so that evaluating a
// message costs no more than an atomic addition.
type collector struct{ engine *Engine }

func descriptions() (matched, fired, failed, missing *prometheus.Desc) {
	return prometheus.NewDesc("fieldline_rule_matched_total", "Messages on the rule's topic.", []string{"rule"}, nil),
		prometheus.NewDesc("fieldline_rule_fired_total", "Messages that the rule's statement selected and an action took.", []string{"rule"}, nil),
		prometheus.NewDesc("fieldline_rule_failures_total", "Actions of the rule that failed.", []string{"rule"}, nil),
		prometheus.NewDesc("fieldline_rule_not_found_total", "Messages of Basic Ingest whose rule was missing or disabled.", nil, nil)
}

func (collector) Describe(ch chan<- *prometheus.Desc) {
	matched, fired, failed, missing := descriptions()
	ch <- matched
	ch <- fired
	ch <- failed
	ch <- missing
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	matched, fired, failed, missing := descriptions()
	ch <- prometheus.MustNewConstMetric(missing, prometheus.CounterValue, float64(c.engine.missing.failures.Load()))
	for _, s := range c.engine.Statuses() {
		ch <- prometheus.MustNewConstMetric(matched, prometheus.CounterValue, float64(s.Matched), s.Name)
		ch <- prometheus.MustNewConstMetric(fired, prometheus.CounterValue, float64(s.Fired), s.Name)
		ch <- prometheus.MustNewConstMetric(failed, prometheus.CounterValue, float64(s.Failed), s.Name)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// tracePrinter prints traces: for people in a terminal, as JSON lines otherwise.
type tracePrinter struct {
	out     io.Writer
	pretty  bool
	explain bool // with the values of SET and WHERE
	now     func() time.Time
}

func newTracePrinter(out io.Writer, explain bool) *tracePrinter {
	return &tracePrinter{out, terminal(out), explain, time.Now}
}

// line prints a line of a live trace.
func (p *tracePrinter) line(l *iot.TraceLine) (err error) {
	if !p.pretty {
		return p.document(l)
	}
	if l.Message != nil {
		err = p.message(l.Message)
	}
	if l.Action != nil && err == nil {
		err = p.later(l.Action)
	}
	return err
}

// message prints what rules made of a message.
func (p *tracePrinter) message(m *iot.MessageTrace) error {
	if !p.pretty {
		return p.document(m)
	}
	var b bytes.Buffer
	from := ""
	if m.ClientID != "" {
		from = " from " + visible(m.ClientID)
	}
	fmt.Fprintf(&b, "%s  %s%s  %s\n", p.clock(m.At), visible(m.Topic), from, excerpt(m.Payload))
	if len(m.Rules) == 0 {
		b.WriteString("  no rule matches this topic\n")
	}
	for i := range m.Rules {
		p.rule(&b, &m.Rules[i])
		if silentlyNotJSON(m, &m.Rules[i]) {
			b.WriteString("    the payload is not JSON, so every field of it is Undefined\n")
		}
	}
	if m.More > 0 {
		fmt.Fprintf(&b, "  … and %d more rules, which fieldline rule trace NAME shows\n", m.More)
	}
	_, err := p.out.Write(b.Bytes())
	return err
}

// clock writes when a message came, with the day when that was not today.
func (p *tracePrinter) clock(at time.Time) string {
	at = at.Local()
	if y, m, d := p.now().Date(); at.Year() != y || at.Month() != m || at.Day() != d {
		return at.Format("2006-01-02 15:04:05.000")
	}
	return at.Format("15:04:05.000")
}

// silentlyNotJSON reports whether a rule did not fire on a message that has no
// fields for it to look at.
func silentlyNotJSON(m *iot.MessageTrace, r *iot.RuleTrace) bool {
	return len(r.Where) > 0 && r.Where[0].Value == "Undefined" && m.Payload.Truncated == 0 && !json.Valid(m.Payload.Bytes)
}

// rule prints what one rule made of it. A statement that is tried has no name.
func (p *tracePrinter) rule(b *bytes.Buffer, r *iot.RuleTrace) {
	name := visible(r.Rule)
	if name != "" {
		name += " "
	}
	fmt.Fprintf(b, "  %s%s\n", name, firing(r))
	if p.explain {
		writeParts(b, "    ", "SET", r.Variables)
		writeParts(b, "    ", "WHERE", r.Where)
	}
	switch {
	case r.Fired && r.Undefined:
		b.WriteString("    output  Undefined: nothing\n")
	case r.Output != nil:
		fmt.Fprintf(b, "    output  %s\n", excerpt(*r.Output))
	}
	for i := range r.Actions {
		b.WriteString("    " + actionLine(&r.Actions[i]) + "\n")
	}
}

// firing says whether a rule fired, and why not.
func firing(r *iot.RuleTrace) string {
	took := ""
	if r.Took > 0 {
		took = " (" + r.Took.Round(100*time.Nanosecond).String() + ")"
	}
	switch {
	case r.Disabled:
		return "did not fire: it is disabled"
	case r.Error != "" && r.Fired:
		return "fired" + took + ", and failed: " + visible(r.Error)
	case r.Error != "":
		return "did not fire: " + visible(r.Error)
	case r.Later && !r.Fired && len(r.Where) == 0:
		return "calls out of the process: it is evaluated from the outbox, and its trace follows"
	case !r.Fired && len(r.Where) > 0:
		return "did not fire: WHERE is " + visible(r.Where[0].Value) + took
	case !r.Fired:
		return "did not fire: WHERE is not true" + took
	}
	return "fired" + took
}

// actionLine says how an action fared.
func actionLine(a *iot.ActionTrace) string {
	var b strings.Builder
	if a.ErrorAction {
		b.WriteString("error action ")
	}
	fmt.Fprintf(&b, "%s  %s  %s", a.Action, visible(a.Target), a.State)
	if a.Attempt > 1 {
		fmt.Fprintf(&b, ", attempt %d", a.Attempt)
	}
	if a.Took > 0 && a.State != iot.ActionQueued { // of which only the recording was timed
		fmt.Fprintf(&b, " in %s", a.Took.Round(10*time.Microsecond))
	}
	if a.Error != "" {
		b.WriteString(": " + visible(a.Error))
	}
	return b.String()
}

// later prints what became of an action after its message was traced.
func (p *tracePrinter) later(a *iot.ActionTrace) error {
	of := a.Trace
	if len(of) > 8 {
		of = of[:8]
	}
	_, err := fmt.Fprintf(p.out, "              … %s %s  %s\n", visible(a.Rule), of, actionLine(a))
	return err
}

func (p *tracePrinter) document(v any) error {
	lines := json.NewEncoder(p.out)
	lines.SetEscapeHTML(false)
	return lines.Encode(v)
}

// writeParts prints expressions with their values as a tree.
func writeParts(out io.Writer, indent, title string, parts []iot.TracePart) {
	for i, part := range parts {
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(out, "%s%-6s%s%s → %s\n", indent, title, strings.Repeat("  ", part.Depth), visible(strings.Join(strings.Fields(part.Text), " ")), visible(part.Value))
	}
}

// excerpt is a payload in one line.
func excerpt(e iot.Excerpt) string {
	text := e.Bytes
	if e.Truncated > 0 { // it may end in the midst of a character
		for n := 0; n < utf8.UTFMax && len(text) > 0 && !utf8.Valid(text); n++ {
			text = text[:len(text)-1]
		}
	}
	switch {
	case !utf8.Valid(text):
		return fmt.Sprintf("%d bytes that are not text: %.64x", len(e.Bytes)+e.Truncated, e.Bytes)
	case e.Truncated > 0:
		return visible(string(text)) + fmt.Sprintf(" … and %d bytes more", e.Truncated+len(e.Bytes)-len(text))
	case len(text) == 0:
		return "(empty)"
	}
	return visible(string(text))
}

// visible writes what a terminal would obey, such as escape sequences of a
// device's, as Go does in strings.
func visible(text string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

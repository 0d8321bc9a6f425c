package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// tryRecent evaluates a statement on the messages that a running server saw last.
func (t *target) tryRecent(c *cobra.Command, o *sqlOptions, sql string) error {
	if _, err := o.parse(sql); err != nil {
		return err
	}
	if err := topic.ValidFilter(o.filter); err != nil {
		return wrongUse(fmt.Errorf("--filter %q: %w", o.filter, err))
	}
	if o.last < 1 {
		return wrongUse(fmt.Errorf("--last %d: 1 or more", o.last))
	}
	var traces []iot.MessageTrace
	in := iot.TrialRequest{SQL: sql, SQLVersion: o.version, Filter: o.filter, Limit: o.last}
	err := t.call(c.Context(), request{service: "fieldline", method: "POST", path: "/fieldline/sql/recent"}, in, &traces)
	if err != nil {
		return err
	}
	fired, out := 0, newTracePrinter(c.OutOrStdout(), o.explain)
	for i := range traces {
		if traces[i].Rules[0].Fired {
			fired++
		}
		if err := out.message(&traces[i]); err != nil {
			return err
		}
	}
	switch {
	case len(traces) == 0:
		return &exitError{3, fmt.Errorf("did not fire: of the messages that the server keeps (the last 1,024 since its start), none matches '%s'", o.filter)}
	case fired == 0:
		return &exitError{3, fmt.Errorf("did not fire (messages tried: %d)", len(traces))}
	}
	return nil
}

// replay evaluates a statement on stored readings.
func (t *target) replay(c *cobra.Command, o *sqlOptions, sql string) error {
	statement, err := o.parse(sql)
	if err != nil {
		return err
	}
	if f := statement.Filter(); o.topic == "" && (f == "" || strings.ContainsAny(f, "+#")) {
		return wrongUse(errors.New("stored readings keep no topic, and the statement's FROM names none: say under which to evaluate them with --topic"))
	}
	in, err := o.replayRequest(sql, time.Now())
	if err != nil {
		return wrongUse(err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := t.send(c.Context(), request{service: "fieldline", method: "POST", path: "/fieldline/sql/replay", body: body})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return readReplay(res.Body, newTracePrinter(c.OutOrStdout(), o.explain), c.ErrOrStderr())
}

func (o *sqlOptions) replayRequest(sql string, now time.Time) (in iot.ReplayRequest, err error) {
	in = iot.ReplayRequest{SQL: sql, SQLVersion: o.version, Device: o.device, Topic: o.topic, Limit: o.limit}
	if o.replay > 0 {
		in.From = now.Add(-o.replay).UnixMilli()
		return in, nil
	}
	if in.From, err = parseMoment("--from", o.from); err != nil {
		return in, err
	}
	in.To, err = parseMoment("--to", o.to)
	return in, err
}

// parseMoment reads a moment of the command line; "" is 0.
func parseMoment(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return ms, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%s %s: milliseconds since the epoch, or RFC 3339 such as 2026-11-23T08:00:00Z", flag, text)
	}
	return at.UnixMilli(), nil
}

// readReplay prints the lines of a replay, and says on log what it came to.
func readReplay(in io.Reader, out *tracePrinter, log io.Writer) error {
	for lines := json.NewDecoder(in); ; {
		var line iot.ReplayLine
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("the server broke off the replay: %w", err)
		}
		if line.Message != nil {
			if err := out.message(line.Message); err != nil {
				return err
			}
		}
		if line.Summary == nil {
			continue
		}
		s := line.Summary
		fmt.Fprintf(log, "readings evaluated: %d, fired: %d, failed: %d\n", s.Evaluated, s.Fired, s.Failed)
		switch {
		case line.Error != "":
			return errors.New(line.Error)
		case s.More:
			fmt.Fprintln(log, "there are more readings: choose a shorter time or one device, or give a larger --limit")
		}
		if s.Fired == 0 {
			return &exitError{3, fmt.Errorf("did not fire (readings evaluated: %d)", s.Evaluated)}
		}
		return nil
	}
}

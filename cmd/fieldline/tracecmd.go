package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// traceOptions select what is followed.
type traceOptions struct {
	rule, filter string
	count        int
}

// traceRuleCommand is `fieldline rule trace`.
func (t *target) traceRuleCommand() *cobra.Command {
	var o traceOptions
	c := &cobra.Command{
		Use:   "trace [NAME]",
		Short: "Follow live what rules make of each message, and why",
		Long: `Follows, until it is interrupted, what the rules make of each message, or one rule:
whether it fired, the value of each part of its WHERE, its output, and how each
action fared, those that are tried again later too. Text in a terminal, one JSON
document a line otherwise.

Of very many messages a second a part is shown, and how many were left out.`,
		Example: "  fieldline rule trace SendToLambdaRule\n  fieldline rule trace --filter 'sensor/#'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.rule = args[0]
			}
			return t.traceRules(c, &o)
		},
	}
	c.Flags().StringVar(&o.filter, "filter", "", "only messages whose topic matches this filter")
	c.Flags().IntVar(&o.count, "count", 0, "end after this many messages; 0 is without end")
	return c
}

// traceRules follows rules until the context ends.
func (t *target) traceRules(c *cobra.Command, o *traceOptions) error {
	query := url.Values{}
	if o.count < 0 {
		return wrongUse(fmt.Errorf("--count %d: a number of messages, or 0 for no end", o.count))
	}
	if o.filter != "" {
		if err := topic.ValidFilter(o.filter); err != nil {
			return wrongUse(fmt.Errorf("--filter %q: %w", o.filter, err))
		}
		query.Set("filter", o.filter)
	}
	if o.rule != "" { // one that does not exist yet is more likely misspelt
		if err := t.iot(c.Context(), "GET", rulePath(o.rule), nil, nil); err != nil {
			return err
		}
		query.Set("rule", o.rule)
	}
	res, err := t.send(c.Context(), request{service: "fieldline", method: "GET", path: "/fieldline/trace", query: query})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = followTrace(json.NewDecoder(res.Body), newTracePrinter(c.OutOrStdout(), true), o.count, func(n uint64) {
		fmt.Fprintf(c.ErrOrStderr(), "%d lines were too fast to be shown\n", n)
	})
	if c.Context().Err() != nil {
		return nil // interrupted
	}
	return err
}

// followTrace prints the lines of a live trace, and tells dropped how many were
// left out. It ends after count messages, unless that is 0, or with an error.
func followTrace(lines *json.Decoder, out *tracePrinter, count int, dropped func(n uint64)) error {
	for n := 0; ; {
		var line iot.TraceLine
		if err := lines.Decode(&line); err != nil {
			return errors.Join(errors.New("the server ended the trace"), err)
		}
		if line.Dropped > 0 {
			dropped(line.Dropped)
		}
		if line.Message == nil && line.Action == nil {
			continue // the sign that the listener is in place
		}
		if err := out.line(&line); err != nil {
			return err
		}
		if line.Message == nil {
			continue
		}
		if n++; n == count {
			return nil
		}
	}
}

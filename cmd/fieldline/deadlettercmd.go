package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

func deadLetterCommand(t *target) *cobra.Command {
	return group("dead-letter", "List, show, retry and drop what could not be done", "  fieldline dead-letter list\n  fieldline dead-letter retry --all --rule SendToQueue",
		deadLetterListCommand(t), deadLetterShowCommand(t),
		deadLetterVerb(t, "retry", "Have letters done again, and delete them", `Puts the entry of an action back at the end of its outbox, to be tried as a new one
is; a message that a rule refused is evaluated again. A letter that cannot be retried
stays, and the exit code is 1.`, "POST", "/retry", "retried"),
		deadLetterVerb(t, "drop", "Delete letters for good", "Deletes letters for good: what they say is never done.", "DELETE", "", "dropped"),
	)
}

func deadLetterListCommand(t *target) *cobra.Command {
	var rule string
	c := &cobra.Command{
		Use: "list [--rule NAME]", Short: "List dead letters, oldest first",
		Long:    "Lists dead letters, oldest first: a table in a terminal, one JSON document a line\notherwise, without bodies of more than 4 KiB.",
		Example: "  fieldline dead-letter list --rule SendToQueue", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := newRows(c.OutOrStdout(), "ID", "SINCE", "RULE", "ACTION", "TOPIC", "FROM", "REASON")
			return out.end(t.eachLetter(c.Context(), rule, func(l *awsapi.DeadLetter, raw json.RawMessage) error {
				out.add(raw, strconv.FormatUint(l.ID, 10), moment(l.At), orDash(l.Rule), printable(orDash(l.Action)), printable(orDash(l.Topic)), printable(orDash(l.Origin)), printable(l.Reason))
				return nil
			}))
		},
	}
	c.Flags().StringVar(&rule, "rule", "", "only letters of this rule")
	return c
}

// eachLetter calls each with every dead letter of a rule, or of all when it is "".
func (t *target) eachLetter(ctx context.Context, rule string, each func(l *awsapi.DeadLetter, raw json.RawMessage) error) error {
	query := url.Values{"limit": {"1000"}}
	for {
		var page []json.RawMessage
		if err := t.fieldline(ctx, "GET", "dead-letters", query, &page); err != nil || len(page) == 0 {
			return err
		}
		for _, raw := range page {
			var l awsapi.DeadLetter
			if err := json.Unmarshal(raw, &l); err != nil {
				return err
			}
			query.Set("after", strconv.FormatUint(l.ID, 10))
			if rule != "" && l.Rule != rule {
				continue
			}
			if err := each(&l, raw); err != nil {
				return err
			}
		}
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func letterPath(id string) string { return "dead-letters/" + url.PathEscape(id) }

func deadLetterShowCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a dead letter with its whole body",
		Long:    "Shows a dead letter with its whole body: one JSON document, with the body in base64,\nwhen not a terminal.",
		Example: "  fieldline dead-letter show 17", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := letterIDs(args); err != nil {
				return err
			}
			var raw json.RawMessage
			if err := t.fieldline(c.Context(), "GET", letterPath(args[0]), nil, &raw); err != nil {
				return err
			}
			if !terminal(c.OutOrStdout()) {
				out := &rows{out: c.OutOrStdout()}
				out.add(raw)
				return out.end(nil)
			}
			var l awsapi.DeadLetter
			if err := json.Unmarshal(raw, &l); err != nil {
				return err
			}
			return describeLetter(c.OutOrStdout(), &l)
		},
	}
}

// describeLetter prints a dead letter for people.
func describeLetter(to io.Writer, l *awsapi.DeadLetter) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	lines := [][2]string{
		{"dead letter", strconv.FormatUint(l.ID, 10)},
		{"since", moment(l.At)},
		{"reason", l.Reason},
		{"rule", l.Rule},
		{"action", l.Action},
		{"topic", l.Topic},
		{"from", l.Origin},
		{"outbox", l.Outbox},
		{"key", l.Key},
		{"size", fmt.Sprintf("%d bytes", l.Size)},
	}
	if task, err := iot.ParseTask(l.Body); err == nil && l.Outbox != "" { // it is in the body too, in base64
		lines = append(lines, [2]string{"trace", task.Trace}, [2]string{"message", excerpt(iot.NewExcerpt(task.Message.Payload))})
	}
	for _, line := range lines {
		if line[1] != "" {
			fmt.Fprintf(out, "%s\t%s\n", line[0], printable(line[1]))
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if !utf8.Valid(l.Body) {
		_, err := fmt.Fprintf(to, "\n%q\n", l.Body)
		return err
	}
	_, err := fmt.Fprintf(to, "\n%s\n", printable(string(l.Body)))
	return err
}

// deadLetterVerb is a command that does something to letters, and goes on with the
// next when one refuses.
func deadLetterVerb(t *target, use, short, long, method, suffix, did string) *cobra.Command {
	var all bool
	var rule string
	c := &cobra.Command{
		Use: use + " ID… | --all [--rule NAME]", Short: short, Long: long,
		Example: "  fieldline dead-letter " + use + " 17 18\n  fieldline dead-letter " + use + " --all --rule SendToQueue",
		RunE: func(c *cobra.Command, ids []string) error {
			if all == (len(ids) > 0) || rule != "" && !all {
				return wrongUse(fmt.Errorf("usage: fieldline dead-letter %s ID… or --all [--rule NAME]", use))
			}
			if err := letterIDs(ids); err != nil {
				return err
			}
			done, failed := 0, 0
			each := func(id string) error {
				err := t.fieldline(c.Context(), method, letterPath(id)+suffix, nil, nil)
				if err == nil {
					done++
					return nil
				}
				if _, refused := errors.AsType[*apiError](err); !refused {
					return err // of the connection: the others would fail too
				}
				failed++
				fmt.Fprintf(c.ErrOrStderr(), "dead letter %s: %v\n", id, err)
				return nil
			}
			if err := t.letters(c.Context(), all, rule, ids, each); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %d\n", did, done)
			if failed > 0 {
				return fmt.Errorf("%d could not be %s", failed, did)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every letter that is there now")
	c.Flags().StringVar(&rule, "rule", "", "with --all, only letters of this rule")
	return c
}

// letters calls each with the ids that a command is for. Those of --all are listed
// first: a letter that comes back meanwhile has a new one.
func (t *target) letters(ctx context.Context, all bool, rule string, ids []string, each func(id string) error) error {
	if all {
		err := t.eachLetter(ctx, rule, func(l *awsapi.DeadLetter, _ json.RawMessage) error {
			ids = append(ids, strconv.FormatUint(l.ID, 10))
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := each(id); err != nil {
			return err
		}
	}
	return nil
}

// letterIDs refuses arguments that are no ids.
func letterIDs(args []string) error {
	for _, id := range args {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil {
			return wrongUse(fmt.Errorf("%q is no id of a dead letter: fieldline dead-letter list prints them", id))
		}
	}
	return nil
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

func clientsCommand(t *target) *cobra.Command {
	return group("clients", "List, show and kick MQTT clients", "  fieldline clients list",
		clientsListCommand(t), clientsShowCommand(t), clientsKickCommand(t))
}

func clientsListCommand(t *target) *cobra.Command {
	var all, asJSON bool
	c := &cobra.Command{
		Use: "list [--all] [--json]", Short: "List connected clients, with --all also those whose sessions wait",
		Example: "  fieldline clients list --all", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := newRows(c.OutOrStdout(), "CLIENT", "SINCE", "FROM", "CERTIFICATE", "SUBSCRIPTIONS", "IN/S", "OUT/S", "QUEUED", "STORED")
			if asJSON {
				out = &rows{out: c.OutOrStdout()}
			}
			query := url.Values{"connected": {"true"}}
			if all {
				query.Set("connected", "any")
			}
			for {
				var page []json.RawMessage
				if err := t.fieldline(c.Context(), "GET", "clients", query, &page); err != nil || len(page) == 0 {
					return out.end(err)
				}
				for _, raw := range page {
					var client awsapi.Client
					if err := json.Unmarshal(raw, &client); err != nil {
						return out.end(err)
					}
					out.add(raw, clientCells(&client)...)
					query.Set("after", client.ClientID)
				}
			}
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also clients that are not connected and whose sessions wait")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON lines in a terminal too")
	return c
}

// clientCells is a client's row.
func clientCells(c *awsapi.Client) []string {
	since := "away"
	if c.Connected {
		since = moment(c.Since)
	}
	return []string{
		printable(c.ClientID), since, c.Remote, short(identityOf(c)), strconv.Itoa(len(c.Subscriptions)),
		perSecond(c.Received.MessageRate), perSecond(c.Sent.MessageRate),
		strconv.FormatInt(c.Queue.Messages, 10), strconv.FormatInt(c.Stored.Messages, 10),
	}
}

// identityOf is what a client proved itself with: a certificate, an access key, or
// nothing.
func identityOf(c *awsapi.Client) string {
	if c.AccessKey != "" {
		return c.AccessKey
	}
	return c.CertificateID
}

// short is the beginning of an identifier of 64 digits.
func short(id string) string {
	if len(id) > 16 {
		return id[:12] + "…"
	}
	return id
}

// printable is a text of a client's as a terminal can take it: quoted, if there is
// something in it that does not print.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func moment(at time.Time) string { return at.Local().Format(time.DateTime) }

func perSecond(rate float64) string { return strconv.FormatFloat(rate, 'f', 1, 64) }

func clientsShowCommand(t *target) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show CLIENT [--json]", Short: "Show a client: its connection, session, queues, rates, and why it last left",
		Long: `Shows what the server knows of a client: one that is connected, one whose session
waits, or one of the last 10,000 that left since the server started.`,
		Example: "  fieldline clients show MyDevice001", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := t.fieldline(c.Context(), "GET", "clients/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			if asJSON || !terminal(c.OutOrStdout()) {
				out := &rows{out: c.OutOrStdout()}
				out.add(raw)
				return out.end(nil)
			}
			var client awsapi.Client
			if err := json.Unmarshal(raw, &client); err != nil {
				return err
			}
			return describeClient(c.OutOrStdout(), &client)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON in a terminal too")
	return c
}

// describeClient prints what is known of a client, for people.
func describeClient(to io.Writer, c *awsapi.Client) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(out, name+"\t"+format+"\n", args...) }
	line("client", "%s", printable(c.ClientID))
	if c.Thing != "" {
		line("thing", "%s", c.Thing)
	}
	if c.Connected {
		line("connected", "since %s from %s, MQTT %s, keep-alive %d s", moment(c.Since), c.Remote, c.Version, c.KeepAlive)
	} else {
		line("connected", "no")
	}
	if c.AccessKey != "" {
		line("access key", "%s", c.AccessKey)
	} else if c.CertificateID != "" {
		line("certificate", "%s", c.CertificateID)
	}
	line("session", "%s", sessionOf(c))
	if c.Connected {
		line("received", "%s", trafficLine(&c.Received))
		line("sent", "%s", trafficLine(&c.Sent))
		line("queue", "%d messages of %d bytes to be sent, %d in flight", c.Queue.Messages, c.Queue.Bytes, c.InFlight)
	}
	if c.Persistent {
		line("stored", "%d messages of %d bytes, %d dropped", c.Stored.Messages, c.Stored.Bytes, c.Dropped)
	}
	for _, sub := range c.Subscriptions {
		line("subscription", "%s at QoS %d%s", printable(sub.Filter), sub.QoS, optionsOf(&sub))
	}
	if c.Left != nil {
		line("last left", "%s, after %s, from %s", moment(c.Left.At), c.Left.At.Sub(c.Left.Since).Round(time.Second), c.Left.Remote)
		line("", "%s", printable(c.Left.Reason))
	}
	return out.Flush()
}

func sessionOf(c *awsapi.Client) string {
	switch {
	case !c.Connected && !c.Persistent:
		return "none"
	case !c.Persistent:
		return "ends with the connection"
	case c.Connected:
		return "outlives the connection"
	case c.Expires.IsZero():
		return "waits, for ever"
	}
	return "waits, until " + moment(c.Expires)
}

func trafficLine(t *awsapi.Traffic) string {
	return fmt.Sprintf("%d messages, %d bytes; %s messages and %.0f bytes a second", t.Messages, t.Bytes, perSecond(t.MessageRate), t.ByteRate)
}

// optionsOf are the options of a subscription that are not MQTT 3.1.1's.
func optionsOf(s *awsapi.Subscription) string {
	var list []string
	if s.NoLocal {
		list = append(list, "no local")
	}
	if s.RetainAsPublished {
		list = append(list, "retain as published")
	}
	if s.RetainHandling != 0 {
		list = append(list, fmt.Sprintf("retain handling %d", s.RetainHandling))
	}
	if s.ID != 0 {
		list = append(list, fmt.Sprintf("identifier %d", s.ID))
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func clientsKickCommand(t *target) *cobra.Command {
	var cleanSession, preventWill bool
	c := &cobra.Command{
		Use: "kick CLIENT [--clean-session] [--prevent-will]", Short: "End a client's connection, with --clean-session its session too",
		Long: `Ends a client's connection; it may come back at once, unless its certificate is
deactivated. With --clean-session its session ends as well, also one that waits for
a client that is not connected: what is stored for it is lost.`,
		Example: "  fieldline clients kick MyDevice001", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			query := url.Values{"cleanSession": {strconv.FormatBool(cleanSession)}, "preventWill": {strconv.FormatBool(preventWill)}}
			var kicked awsapi.Kicked
			if err := t.fieldline(c.Context(), "DELETE", "clients/"+url.PathEscape(args[0]), query, &kicked); err != nil {
				return err
			}
			var ended []string
			if kicked.Connection {
				ended = append(ended, "its connection")
			}
			if kicked.Session {
				ended = append(ended, "its session")
			}
			fmt.Fprintf(c.OutOrStdout(), "client %s: ended %s\n", printable(args[0]), strings.Join(ended, " and "))
			return nil
		},
	}
	c.Flags().BoolVar(&cleanSession, "clean-session", false, "end the session too, also of a client that is not connected")
	c.Flags().BoolVar(&preventWill, "prevent-will", false, "do not publish the client's will")
	return c
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// status asks the server how it is.
func (t *target) status(ctx context.Context) (awsapi.Status, error) {
	var s awsapi.Status
	return s, t.fieldline(ctx, "GET", "status", nil, &s)
}

func connectionsCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "connections",
		Short:   "List the WebSocket clients in WebsocketConnections",
		Example: "  fieldline connections",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var connections []iot.Connection
			if err := t.fieldline(c.Context(), "GET", "connections", nil, &connections); err != nil {
				return err
			}
			out := newRows(c.OutOrStdout(), "CONNECTION", "SINCE", "FROM", "CLIENT")
			for _, conn := range connections {
				raw, err := json.Marshal(conn)
				if err != nil {
					return out.end(err)
				}
				out.add(raw, conn.ID, conn.ConnectedAt.Local().Format(time.DateTime), conn.SourceIP, conn.UserAgent)
			}
			return out.end(nil)
		},
	}
}

func logsCommand(t *target) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:     "logs FUNCTION [--follow]",
		Short:   "Print what a function logged",
		Long:    "Prints the latest lines that a function logged; they outlive a restart of the server.\nWhat ProcessIoTData is handed is logged when the server runs with --log-level debug.",
		Example: "  fieldline logs ProcessIoTData --follow",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var from uint64
			for {
				var lines []iot.LogLine
				query := url.Values{"from": {strconv.FormatUint(from, 10)}}
				if err := t.fieldline(c.Context(), "GET", "logs/"+url.PathEscape(args[0]), query, &lines); err != nil {
					return err
				}
				for _, l := range lines {
					fmt.Fprintf(c.OutOrStdout(), "%s %s\n", l.At.Format("2006-01-02T15:04:05.000Z07:00"), l.Text)
					from = l.N + 1
				}
				if !follow {
					return nil
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(500 * time.Millisecond):
				}
			}
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "go on printing new lines")
	return c
}

func loginCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "login",
		Short:   "Print a link that opens the dashboard as its operator, once",
		Example: "  fieldline login",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var link struct{ URL string }
			if err := t.fieldline(c.Context(), "POST", "login", nil, &link); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), link.URL)
			return nil
		},
	}
}

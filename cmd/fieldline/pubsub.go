package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

func pubCommand(t *target) *cobra.Command {
	var qos int
	c := &cobra.Command{
		Use:     "pub TOPIC PAYLOAD",
		Short:   "Publish one message, as the console's MQTT test client does",
		Long:    "Publishes as the operator, through iot-data Publish: it may write on any topic and for\nany device, and returns when what rules store of it is durable.",
		Example: `  fieldline pub sensor/data '{"device_id":"bench-1","temperature":21.5}'`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := topic.ValidName(args[0]); err != nil {
				return wrongUse(fmt.Errorf("topic %q: %w", args[0], err))
			}
			if qos != 0 && qos != 1 {
				return wrongUse(fmt.Errorf("--qos %d: 0 or 1", qos))
			}
			return t.call(c.Context(), request{
				service: "iotdata", method: "POST", path: "/topics/" + url.PathEscape(args[0]),
				query: url.Values{"qos": {strconv.Itoa(qos)}}, body: []byte(args[1]),
			}, nil, nil)
		},
	}
	c.Flags().IntVar(&qos, "qos", 1, "0 or 1")
	return c
}

func subCommand(t *target) *cobra.Command {
	var count int
	c := &cobra.Command{
		Use:     "sub FILTER",
		Short:   "Print messages as they pass, as the console's MQTT test client does",
		Long:    "Prints every message whose topic matches the filter, as the operator sees them: topic and\npayload in a terminal, one JSON document a line otherwise.",
		Example: "  fieldline sub 'sensor/#'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := topic.ValidFilter(args[0]); err != nil {
				return wrongUse(fmt.Errorf("filter %q: %w", args[0], err))
			}
			err := t.follow(c, args[0], count)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	c.Flags().IntVar(&count, "count", 0, "end after this many messages; 0 is without end")
	return c
}

// follow prints the messages of a filter until the context ends.
func (t *target) follow(c *cobra.Command, filter string, count int) error {
	res, err := t.send(c.Context(), request{service: "fieldline", method: "GET", path: "/fieldline/messages", query: url.Values{"filter": {filter}}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	pretty := terminal(c.OutOrStdout())
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); {
		var m awsapi.TappedMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("answer of the server: %w", err)
		}
		if m.Topic == "" && m.Dropped == 0 {
			continue // the sign that the subscription is in force
		}
		if m.Dropped > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "%d messages were too fast to be shown\n", m.Dropped)
		}
		if pretty {
			fmt.Fprintf(c.OutOrStdout(), "%s  %s\n", m.Topic, m.Payload)
		} else {
			fmt.Fprintf(c.OutOrStdout(), "%s\n", lines.Bytes())
		}
		if n++; n == count {
			return nil
		}
	}
	if c.Context().Err() != nil {
		return c.Context().Err()
	}
	return errors.Join(errors.New("the server ended the subscription"), lines.Err())
}

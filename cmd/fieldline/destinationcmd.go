package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func destinationCommand(t *target) *cobra.Command {
	return group("destination", "List, create, confirm and switch the destinations of rules' http actions",
		"  fieldline destination create https://hooks.example.com/in\n  fieldline destination confirm TOKEN",
		&cobra.Command{
			Use: "list", Short: "List topic rule destinations", Example: "  fieldline destination list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return t.listDestinations(c) },
		},
		&cobra.Command{
			Use: "create URL", Short: "Create a destination: its URL is sent a token that confirms it", Args: cobra.ExactArgs(1),
			Long: `Creates a destination and sends a request with a token to its confirmation URL. Once
the token has come back, by the enableUrl in that request or by fieldline destination
confirm, http actions may send to every URL that begins with the confirmation URL. The
destination's ARN is printed.`,
			Example: "  fieldline destination create https://hooks.example.com/in",
			RunE:    func(c *cobra.Command, args []string) error { return t.createDestination(c, args[0]) },
		},
		&cobra.Command{
			Use: "confirm TOKEN", Short: "Confirm the destination that a token was sent for", Example: "  fieldline destination confirm TOKEN", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				return t.iot(c.Context(), "GET", "/confirmdestination/"+url.PathEscape(args[0]), nil, nil)
			},
		},
		t.destinationStatus("enable", "Let http actions send to a confirmed destination again", iot.DestinationEnabled),
		t.destinationStatus("disable", "Keep http actions from sending to a destination", iot.DestinationDisabled),
		t.destinationStatus("resend", "Send a new token to the confirmation URL; the destination waits until it comes back", iot.DestinationInProgress),
		t.destinationVerb("delete", "Delete a destination", func(ctx context.Context, arn string) error {
			return t.iot(ctx, "DELETE", "/destinations/"+url.PathEscape(arn), nil, nil)
		}),
	)
}

// destinationVerb is a command about one destination.
func (t *target) destinationVerb(use, short string, do func(ctx context.Context, arn string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " ARN|URL", Short: short, Example: "  fieldline destination " + use + " https://hooks.example.com/in", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			arn, err := t.destinationARN(c.Context(), args[0])
			if err != nil {
				return err
			}
			return do(c.Context(), arn)
		},
	}
}

func (t *target) destinationStatus(use, short string, status iot.DestinationStatus) *cobra.Command {
	return t.destinationVerb(use, short, func(ctx context.Context, arn string) error {
		return t.iot(ctx, "PATCH", "/destinations", map[string]string{"arn": arn, "status": string(status)}, nil)
	})
}

// destinations returns all destinations as AWS summarises them.
func (t *target) destinations(ctx context.Context) (all []json.RawMessage, err error) {
	query := url.Values{}
	for {
		var page struct {
			DestinationSummaries []json.RawMessage
			NextToken            string
		}
		if err := t.call(ctx, request{service: "iot", method: "GET", path: "/destinations", query: query}, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.DestinationSummaries...)
		if page.NextToken == "" {
			return all, nil
		}
		query.Set("nextToken", page.NextToken)
	}
}

// destinationSummary is a destination in a list.
type destinationSummary struct {
	ARN, Status, StatusReason string
	HTTPURLSummary            struct{ ConfirmationURL string }
}

func (t *target) listDestinations(c *cobra.Command) error {
	all, err := t.destinations(c.Context())
	if err != nil {
		return err
	}
	out := newRows(c.OutOrStdout(), "CONFIRMATION URL", "STATUS", "ARN", "REASON")
	for _, raw := range all {
		var d destinationSummary
		if err := json.Unmarshal(raw, &d); err != nil {
			return out.end(err)
		}
		out.add(raw, d.HTTPURLSummary.ConfirmationURL, d.Status, d.ARN, d.StatusReason)
	}
	return out.end(nil)
}

func (t *target) createDestination(c *cobra.Command, confirmationURL string) error {
	in := map[string]any{"destinationConfiguration": map[string]any{"httpUrlConfiguration": map[string]string{"confirmationUrl": confirmationURL}}}
	var created struct{ TopicRuleDestination destinationSummary }
	if err := t.iot(c.Context(), "POST", "/destinations", in, &created); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), created.TopicRuleDestination.ARN)
	return err
}

// destinationARN returns the ARN of a destination that is named by it, or by its
// confirmation URL.
func (t *target) destinationARN(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "arn:") {
		return name, nil
	}
	all, err := t.destinations(ctx)
	if err != nil {
		return "", err
	}
	for _, raw := range all {
		var d destinationSummary
		if err := json.Unmarshal(raw, &d); err != nil {
			return "", err
		}
		if d.HTTPURLSummary.ConfirmationURL == name {
			return d.ARN, nil
		}
	}
	return "", fmt.Errorf("no destination has the confirmation URL %s: see fieldline destination list", name)
}

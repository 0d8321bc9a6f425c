package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// getOptions select readings.
type getOptions struct {
	from, to, order string
	limit           int
}

// item is a reading as the HTTP API answers it.
type item struct {
	DeviceID string          `json:"device_id"`
	TS       json.RawMessage `json:"ts"`
	Time     int64           `json:"time"` // ms; history only
	Payload  json.RawMessage `json:"payload"`
}

func getCommand(t *target) *cobra.Command {
	var o getOptions
	c := &cobra.Command{
		Use:   "get [DEVICE]",
		Short: "Print latest readings, or the history of a device with --from or --to",
		Long: `Prints the latest reading of a device, or of every device; with --from or --to the
history of a device. A table in a terminal, one JSON document a line otherwise.`,
		Example: "  fieldline get MyDevice001\n  fieldline get MyDevice001 --from 2026-11-23T00:00:00Z --limit 100",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := newRows(c.OutOrStdout(), "DEVICE", "TIME", "PAYLOAD")
			device := ""
			if len(args) == 1 {
				device = args[0]
			}
			if o.from == "" && o.to == "" {
				return out.end(t.latest(c.Context(), device, o.limit, out))
			}
			if device == "" {
				return wrongUse(fmt.Errorf("history is that of one device: name it (fieldline get DEVICE --from …)"))
			}
			return out.end(t.history(c.Context(), device, o, out))
		},
	}
	c.Flags().StringVar(&o.from, "from", "", "first moment, in milliseconds or as RFC 3339")
	c.Flags().StringVar(&o.to, "to", "", "moment before which to end")
	c.Flags().StringVar(&o.order, "order", "asc", "asc or desc")
	c.Flags().IntVar(&o.limit, "limit", 0, "at most this many; 0 is all")
	return c
}

// fetch reads one document of the HTTP API and the address of the next page.
func (t *target) fetch(ctx context.Context, address string, into any) (next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	t.signGateway(req)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("no server at %s (start it with fieldline up, or give --gateway-addr): %w", t.gatewayURL(), err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		var problem struct{ Title, Detail string }
		if json.Unmarshal(text, &problem) != nil || problem.Title == "" {
			problem.Title = string(text)
		}
		return "", fmt.Errorf("the server answered %d: %s %s", res.StatusCode, problem.Title, problem.Detail)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return "", fmt.Errorf("answer of %s: %w", address, err)
	}
	return nextLink(res.Header.Get("Link")), nil
}

// nextLink reads <…>; rel="next".
func nextLink(header string) string {
	start, end := bytes.IndexByte([]byte(header), '<'), bytes.IndexByte([]byte(header), '>')
	if start < 0 || end < start {
		return ""
	}
	return header[start+1 : end]
}

func (t *target) latest(ctx context.Context, device string, limit int, out *rows) error {
	address := t.gatewayURL() + "/prod/iotdata"
	if device != "" {
		var raw json.RawMessage
		if _, err := t.fetch(ctx, address+"?device_id="+url.QueryEscape(device), &raw); err != nil {
			return err
		}
		if string(bytes.TrimSpace(raw)) == "{}" {
			return fmt.Errorf("no reading of device %q is stored", device)
		}
		return printItem(out, raw)
	}
	for printed := 0; address != ""; {
		var items []json.RawMessage
		next, err := t.fetch(ctx, address, &items)
		if err != nil {
			return err
		}
		for _, raw := range items {
			if err := printItem(out, raw); err != nil {
				return err
			}
			if printed++; printed == limit {
				return nil
			}
		}
		if address = next; address != "" {
			if address, err = resolve(t.gatewayURL(), next); err != nil {
				return err
			}
		}
	}
	return nil
}

func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base + "/prod/iotdata")
	if err != nil {
		return "", err
	}
	r, err := b.Parse(ref)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

func (t *target) history(ctx context.Context, device string, o getOptions, out *rows) error {
	query := url.Values{"device_id": {device}, "order": {o.order}, "limit": {"1000"}}
	for name, value := range map[string]string{"from": o.from, "to": o.to} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for printed := 0; ; {
		if o.limit > 0 {
			query.Set("limit", strconv.Itoa(min(o.limit-printed, 1000)))
		}
		var page struct {
			Items  []json.RawMessage
			Cursor string
		}
		if _, err := t.fetch(ctx, t.gatewayURL()+"/prod/iotdata?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, raw := range page.Items {
			if err := printItem(out, raw); err != nil {
				return err
			}
			if printed++; printed == o.limit {
				return nil
			}
		}
		if page.Cursor == "" {
			return nil
		}
		query.Set("cursor", page.Cursor)
	}
}

func printItem(out *rows, raw json.RawMessage) error {
	var i item
	if err := json.Unmarshal(raw, &i); err != nil {
		return fmt.Errorf("answer of the HTTP API: %w", err)
	}
	at := string(i.TS)
	if i.Time != 0 {
		at = time.UnixMilli(i.Time).Format("2006-01-02 15:04:05.000")
	}
	out.add(raw, i.DeviceID, at, string(i.Payload))
	return nil
}

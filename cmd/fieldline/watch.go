package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/spf13/cobra"
)

func watchCommand(t *target) *cobra.Command {
	var device string
	c := &cobra.Command{
		Use:   "watch [--device NAME]",
		Short: "Print readings as they are pushed",
		Long: `Connects to the WebSocket as a browser does and prints each reading. After a lost
connection it asks for what it missed. One JSON document a line when not a
terminal: {"seq","device_id","time","payload"}, or {"gap":{"from","to"}}.`,
		Example: "  fieldline watch --device MyDevice001",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := &watcher{target: t, device: device, out: c.OutOrStdout(), err: c.ErrOrStderr(), pretty: terminal(c.OutOrStdout())}
			return w.run(c.Context(), "ws"+strings.TrimPrefix(t.gatewayURL(), "http")+"/prod")
		},
	}
	c.Flags().StringVar(&device, "device", "*", "only this device")
	return c
}

// watcher prints pushed readings and remembers how far it came.
type watcher struct {
	*target
	device   string
	out, err io.Writer
	pretty   bool
	since    uint64 // the last seq seen; 0 before the first
}

// frame is a pushed reading, or what else the gateway says.
type frame struct {
	Seq      uint64
	DeviceID string `json:"device_id"`
	Time     int64
	Payload  json.RawMessage
	Message  string
}

// run watches until ctx is done, reconnecting. The first connection must work.
func (w *watcher) run(ctx context.Context, address string) error {
	for first := true; ; first = false {
		err := w.watch(ctx, address)
		if ctx.Err() != nil {
			return nil
		}
		var refused ws.StatusError
		if first && w.since == 0 || errors.As(err, &refused) {
			return fmt.Errorf("watching %s: %w", address, err)
		}
		fmt.Fprintln(w.err, "connection lost, reconnecting:", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (w *watcher) watch(ctx context.Context, address string) error {
	header, err := w.webSocketHeader(ctx, address)
	if err != nil {
		return err
	}
	header.Set("User-Agent", "fieldline watch")
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, buffered, _, err := dialer.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	hello := map[string]any{"action": "subscribe", "device_id": w.device, "since": w.since}
	if w.since == 0 {
		hello["since"] = uint64(1)<<53 - 1 // ahead of the store: from now on
	}
	text, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	if err := wsutil.WriteClientText(conn, text); err != nil {
		return err
	}
	in := io.Reader(conn)
	if buffered != nil {
		in = io.MultiReader(buffered, conn)
	}
	for {
		text, err := readText(in, conn)
		if err != nil {
			return err
		}
		if err := w.print(text); err != nil {
			return err
		}
	}
}

// readText reads the next text message, answering pings on the way.
func readText(in io.Reader, conn net.Conn) ([]byte, error) {
	return wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{in, conn})
}

func (w *watcher) print(text []byte) error {
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("pushed frame: %w", err)
	}
	switch {
	case f.Message != "":
		return fmt.Errorf("the gateway answered: %s", text)
	case f.Seq != 0:
		w.since = f.Seq
	case strings.Contains(string(text), `"action":"subscribed"`):
		return nil
	}
	if w.pretty && f.Seq != 0 {
		_, err := fmt.Fprintf(w.out, "%s  %-16s %s\n", time.UnixMilli(f.Time).Format("15:04:05"), f.DeviceID, f.Payload)
		return err
	}
	_, err := fmt.Fprintf(w.out, "%s\n", text)
	return err
}

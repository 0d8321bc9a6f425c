package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// narrator tells the way of one device's first message, as the guide's step 10
// does.
type narrator struct {
	device string
	seen   atomic.Bool
	first  chan story
}

// story is what is told about a message.
type story struct {
	topic   string
	payload int // bytes
	qos     byte
	cert    string
	reading iot.Reading
}

func newNarrator(device string) *narrator {
	return &narrator{device: device, first: make(chan story, 1)}
}

// observe looks for the device's first stored message. It never blocks.
func (n *narrator) observe(c *iot.Commit) {
	if n.seen.Load() || len(c.Messages) == 0 { // effects that no message brought
		return
	}
	for _, e := range c.Effects {
		put, ok := e.(*iot.PutReading)
		if !ok || put.Reading.DeviceID != n.device || n.seen.Swap(true) {
			continue
		}
		m := c.Messages[0]
		n.first <- story{m.Topic, len(m.Payload), m.QoS, m.Origin.Principal, put.Reading}
		return
	}
}

// narrate waits for the first message and tells its way.
func (n *narrator) narrate(ctx context.Context, w io.Writer, s *server.Server) {
	select {
	case <-ctx.Done():
	case m := <-n.first:
		fmt.Fprintf(w, `The first message of %s:
  1 published   %d bytes to %s at QoS %d, with certificate %.12s…
  2 rule        %s matched and invoked ProcessIoTData
  3 stored      latest item and history, seq %d, synced to disk before the PUBACK
  4 pushed      to %d WebSocket connections
  5 fetch       %s/prod/iotdata?device_id=%s

`, n.device, m.payload, m.topic, m.qos, m.cert,
			strings.Join(s.MatchingRules(m.topic), ", "), m.reading.Seq,
			s.WebSocketClients(), s.GatewayURL(), url.QueryEscape(n.device))
	}
}

package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// EveryDevice is the device_id of an [Action] that stands for all of them.
const EveryDevice = "*"

// MaxActionDeviceID bounds the device_id of an [Action], in bytes: it is kept for
// each subscription.
const MaxActionDeviceID = 1024

// Action is what a WebSocket client asks for.
type Action struct {
	Unsubscribe bool
	Device      string  // or EveryDevice
	Since       *uint64 // nil when the client only wants what comes
}

// ParseAction reads a client's message. The error wraps [iot.ErrInvalid].
func ParseAction(message []byte) (Action, error) {
	var asked struct {
		Action   string  `json:"action"`
		DeviceID string  `json:"device_id"`
		Since    *uint64 `json:"since"`
	}
	if text := bytes.TrimLeft(message, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return Action{}, fmt.Errorf("not an object: %w", iot.ErrInvalid)
	}
	if err := json.Unmarshal(message, &asked); err != nil {
		return Action{}, fmt.Errorf("%w: %w", err, iot.ErrInvalid)
	}
	a := Action{Device: asked.DeviceID, Since: asked.Since}
	switch {
	case asked.Action == "unsubscribe":
		a.Unsubscribe = true
	case asked.Action != "subscribe":
		return Action{}, fmt.Errorf("no action %q: %w", asked.Action, iot.ErrInvalid)
	}
	if a.Device == "" || len(a.Device) > MaxActionDeviceID {
		return Action{}, fmt.Errorf("device_id is missing or longer than %d bytes: %w", MaxActionDeviceID, iot.ErrInvalid)
	}
	return a, nil
}

// Reply is the answer to an action that is in force.
func (a *Action) Reply() []byte {
	name := "subscribed"
	if a.Unsubscribe {
		name = "unsubscribed"
	}
	return append(appendID(fmt.Appendf(nil, `{"action":%q,"device_id":`, name), a.Device), '}')
}

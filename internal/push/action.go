package push

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// everyDevice is the device_id that stands for all of them.
const everyDevice = "*"

// maxDeviceID bounds the device_id of an action, in bytes: it is kept for each
// subscription.
const maxDeviceID = 1024

// action is what a client asks for.
type action struct {
	unsubscribe bool
	device      string  // or everyDevice
	since       *uint64 // nil when the client only wants what comes
}

// parseAction reads a client's message. The error wraps [iot.ErrInvalid].
func parseAction(message []byte) (action, error) {
	var asked struct {
		Action   string  `json:"action"`
		DeviceID string  `json:"device_id"`
		Since    *uint64 `json:"since"`
	}
	if text := bytes.TrimLeft(message, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return action{}, fmt.Errorf("not an object: %w", iot.ErrInvalid)
	}
	if err := json.Unmarshal(message, &asked); err != nil {
		return action{}, fmt.Errorf("%w: %w", err, iot.ErrInvalid)
	}
	a := action{device: asked.DeviceID, since: asked.Since}
	switch {
	case asked.Action == "unsubscribe":
		a.unsubscribe = true
	case asked.Action != "subscribe":
		return action{}, fmt.Errorf("no action %q: %w", asked.Action, iot.ErrInvalid)
	}
	if a.device == "" || len(a.device) > maxDeviceID {
		return action{}, fmt.Errorf("device_id is missing or longer than %d bytes: %w", maxDeviceID, iot.ErrInvalid)
	}
	return a, nil
}

// reply is the answer to an action that is in force.
func (a *action) reply() []byte {
	name := "subscribed"
	if a.unsubscribe {
		name = "unsubscribed"
	}
	return append(appendString(fmt.Appendf(nil, `{"action":%q,"device_id":`, name), a.device), '}')
}

// refusal is API Gateway's answer to a message that it cannot route.
func refusal(message, connectionID string) []byte {
	return fmt.Appendf(nil, `{"message":%q,"connectionId":%q,"requestId":%q}`, message, connectionID, newID())
}

// interest is what a client follows. Each subscription has the seq behind which
// it begins, 0 when that is no limit.
type interest struct {
	all      bool
	allAfter uint64
	devices  map[string]uint64 // nil while there is none
}

func (f *interest) wants(device string, seq uint64) bool {
	if f.all && seq > f.allAfter {
		return true
	}
	after, ok := f.devices[device]
	return ok && seq > after
}

func (f *interest) none() bool { return !f.all && len(f.devices) == 0 }

// single returns the only device of interest, or "" when there are others.
func (f *interest) single() string {
	if f.all || len(f.devices) != 1 {
		return ""
	}
	for device := range f.devices {
		return device
	}
	return ""
}

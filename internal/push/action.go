package push

import "fmt"

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

package telemetry

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// FuzzAction checks that an action which is taken is answered with the device
// that it named, in valid UTF-8, and that no message makes the parser panic.
func FuzzAction(f *testing.F) {
	f.Add([]byte(`{"action":"subscribe","device_id":"MyDevice001","since":18446744073709551615}`))
	f.Add([]byte(`{"action":"unsubscribe","device_id":"*"}`))
	f.Add([]byte(`{"action":"subscribe","device_id":"\ud800"}`))
	f.Add([]byte(` [{}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := ParseAction(in)
		if err != nil {
			return // refusing is always allowed
		}
		if a.Device == "" || len(a.Device) > MaxActionDeviceID {
			t.Errorf("%q: device %q", in, a.Device)
		}
		reply := a.Reply()
		if !utf8.Valid(reply) {
			t.Errorf("%q: reply %q", in, reply)
		}
		again, err := ParseAction(bytes.Replace(reply, []byte(`scribed"`), []byte(`scribe"`), 1))
		if err != nil || again.Device != a.Device || again.Unsubscribe != a.Unsubscribe {
			t.Errorf("%q: reply %s does not name the action", in, reply)
		}
	})
}

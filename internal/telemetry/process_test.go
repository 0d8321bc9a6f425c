package telemetry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestProcess(t *testing.T) {
	arrived := time.UnixMilli(1_700_000_000_500)
	const now = 1_700_000_000_500
	tests := []struct {
		name, device, event string
		want                iot.Reading // Payload empty means the event itself
	}{
		{
			"the guide's reading", "MyDevice001", `{"device_id":"MyDevice001","temperature":24.50,"ts":1700000000}`,
			iot.Reading{DeviceID: "MyDevice001", TS: "1700000000", Time: 1_700_000_000_000},
		},
		{
			"ts in milliseconds", "", `{"device_id":"d","ts":1699999999123}`,
			iot.Reading{DeviceID: "d", TS: "1699999999123", Time: 1_699_999_999_123},
		},
		{
			"ts with a fraction of a second", "", `{"device_id":"d","ts":1699999999.123}`,
			iot.Reading{DeviceID: "d", TS: "1699999999.123", Time: 1_699_999_999_123},
		},
		{
			"ts as text, as Python's int() takes it", "", `{"device_id":"d","ts":"1699999999"}`,
			iot.Reading{DeviceID: "d", TS: `"1699999999"`, Time: 1_699_999_999_000},
		},
		{
			"no ts is the arrival in seconds", "", `{"device_id":"d"}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now},
		},
		{
			"a ts that is no number is the arrival", "", `{"device_id":"d","ts":{"at":1}}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now},
		},
		{
			"nine minutes ahead is believed", "", `{"device_id":"d","ts":1700000540}`,
			iot.Reading{DeviceID: "d", TS: "1700000540", Time: 1_700_000_540_000},
		},
		{
			"eleven minutes ahead is ordered by arrival, ts kept", "", `{"device_id":"d","ts":1700000661}`,
			iot.Reading{DeviceID: "d", TS: "1700000661", Time: now},
		},
		{
			"a negative ts is ordered by arrival, ts kept", "", `{"device_id":"d","ts":-5}`,
			iot.Reading{DeviceID: "d", TS: "-5", Time: now},
		},
		{
			"an absurd ts is ordered by arrival, ts kept", "", `{"device_id":"d","ts":1e300}`,
			iot.Reading{DeviceID: "d", TS: "1e300", Time: now},
		},
		{
			"no device_id goes to unknown, for a thing too", "MyDevice001", `{"temperature":1,"ts":1699999999}`,
			iot.Reading{DeviceID: "unknown", TS: "1699999999", Time: 1_699_999_999_000},
		},
		{
			"an empty device_id goes to unknown", "", `{"device_id":""}`,
			iot.Reading{DeviceID: "unknown", TS: "1700000000", Time: now},
		},
		{
			"a device_id that is a number is its digits", "", `{"device_id":17}`,
			iot.Reading{DeviceID: "17", TS: "1700000000", Time: now},
		},
		{
			"the last of repeated members counts", "d", `{"device_id":"other","device_id":"d"}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now},
		},
		{
			"an escaped key is the key", "", `{"device\u005fid":"d"}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now},
		},
		{
			"members of nested objects do not count", "", `{"a":{"device_id":"x"},"b":[{"ts":1}],"device_id":"d"}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now},
		},
		{
			"a list goes to unknown", "", ` [1, 2]`,
			iot.Reading{DeviceID: "unknown", TS: "1700000000", Time: now},
		},
		{
			"a bare string goes to unknown", "", `"hello"`,
			iot.Reading{DeviceID: "unknown", TS: "1700000000", Time: now},
		},
		{
			"payload as an object is unwrapped", "", `{"payload": {"device_id":"d", "n":1.10} , "x":1}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now, Payload: []byte(`{"device_id":"d", "n":1.10}`)},
		},
		{
			"payload as JSON text is unwrapped", "", `{"payload":"{\"device_id\":\"d\",\"n\":1.10}"}`,
			iot.Reading{DeviceID: "d", TS: "1700000000", Time: now, Payload: []byte(`{"device_id":"d","n":1.10}`)},
		},
		{
			"payload as other text is kept as a JSON string", "", `{"payload":"hot"}`,
			iot.Reading{DeviceID: "unknown", TS: "1700000000", Time: now, Payload: []byte(`"hot"`)},
		},
		{
			"white space stays", "", "{ \"device_id\" : \"d\" ,\n \"ts\" : 1699999999 }\n",
			iot.Reading{DeviceID: "d", TS: "1699999999", Time: 1_699_999_999_000},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.Payload == nil {
				tt.want.Payload = []byte(tt.event)
			}
			effects, err := Process(nil, []byte(tt.event), iot.Origin{Arrived: arrived, Device: tt.device})
			if err != nil || len(effects) != 1 {
				t.Fatalf("Process = %v, %v; want one effect", effects, err)
			}
			got := effects[0].(*iot.PutReading).Reading
			if got.DeviceID != tt.want.DeviceID || got.TS != tt.want.TS || got.Time != tt.want.Time || string(got.Payload) != string(tt.want.Payload) {
				t.Errorf("got  %+v %s\nwant %+v %s", got, got.Payload, tt.want, tt.want.Payload)
			}
		})
	}
}

func TestProcessRefuses(t *testing.T) {
	tests := []struct {
		name, event string
		want        error
	}{
		{"what is not JSON", `temperature=5`, iot.ErrInvalid},
		{"nothing", ``, iot.ErrInvalid},
		{"another's device_id", `{"device_id":"other"}`, iot.ErrDenied},
		{"another's device_id inside payload text", `{"payload":"{\"device_id\":\"other\"}"}`, iot.ErrDenied},
		{"a name that repeats to hide", `{"device_id":"mine","device_id":"other"}`, iot.ErrDenied},
		{"a device_id without end", `{"device_id":"` + strings.Repeat("x", MaxDeviceID+1) + `"}`, iot.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			effects, err := Process(nil, []byte(tt.event), iot.Origin{Arrived: time.Now(), Device: "mine"})
			if !errors.Is(err, tt.want) || len(effects) != 0 {
				t.Errorf("Process = %v, %v; want no effect and %v", effects, err, tt.want)
			}
		})
	}
}

func TestNumberAroundTheOwnNameIsAnothersName(t *testing.T) {
	_, err := Process(nil, []byte(`{"device_id":1123451}`), iot.Origin{Arrived: time.Now(), Device: "12345"})
	if !errors.Is(err, iot.ErrDenied) {
		t.Errorf("Process = %v", err)
	}
}

// FuzzProcess checks that any event either is refused or yields one reading
// whose payload is JSON and whose device is one that the sender may speak for;
// and that the members found are those that encoding/json finds.
func FuzzProcess(f *testing.F) {
	f.Add([]byte(`{"device_id":"d","ts":1,"payload":{"device_id":"e"}}`))
	f.Add([]byte(`{"payload":"{\"ts\":1.5}"}`))
	f.Add([]byte(`[{"a":"\\\""}]`))
	f.Fuzz(func(t *testing.T, event []byte) {
		effects, err := Process(nil, event, iot.Origin{Arrived: time.Now(), Device: "d"})
		if err != nil {
			return
		}
		r := effects[0].(*iot.PutReading).Reading
		if !json.Valid(r.Payload) || !json.Valid([]byte(r.TS)) {
			t.Errorf("stored what is not JSON: %q, ts %q", r.Payload, r.TS)
		}
		if r.DeviceID != "d" && r.DeviceID != iot.UnknownDevice {
			t.Errorf("stored for %q", r.DeviceID)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(r.Payload, &want) == nil && want != nil {
			if got := topLevel(r.Payload); string(got.deviceID) != string(want["device_id"]) || string(got.ts) != string(want["ts"]) {
				t.Errorf("members of %q: got %q %q", r.Payload, got.deviceID, got.ts)
			}
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	event := []byte(`{"device_id": "MyDevice001", "temperature": 24.85, "humidity": 43.1, "ts": 1700000000}`)
	origin := iot.Origin{Arrived: time.Now(), Device: "MyDevice001"}
	var dst []iot.Effect
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = Process(dst[:0], event, origin)
	}
}

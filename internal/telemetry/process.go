package telemetry

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Processed is what ProcessIoTData answers when a reading was taken.
const Processed = `{"statusCode":200,"body":"{\"message\":\"processed\"}"}`

// MaxDeviceID bounds a device_id, in bytes.
const MaxDeviceID = 256

// maxAhead is how far a device's clock may be ahead of ours before its readings
// are ordered by their arrival instead: one bad clock must not freeze a device.
const maxAhead = 10 * time.Minute

// millisecondsFrom is the smallest ts that is taken for milliseconds; below it
// are seconds (as milliseconds it is March 1973, as seconds the year 5138).
const millisecondsFrom = 100_000_000_000

// Process is ProcessIoTData: it appends to dst the effect of one event, which
// is a reading as JSON, or an object whose payload member holds the reading as
// JSON text or as an object.
//
// The reading's bytes are kept as they came and may be shared with event. A
// reading that names no device goes to [iot.UnknownDevice]; one without a ts
// gets the arrival time. The error wraps [iot.ErrInvalid] for an event that is
// not JSON, and [iot.ErrDenied] for a reading of a device other than
// origin.Device.
func Process(dst []iot.Effect, event []byte, origin iot.Origin) ([]iot.Effect, error) {
	if !json.Valid(event) {
		return dst, fmt.Errorf("the payload is not JSON: %w", iot.ErrInvalid)
	}
	payload, reading := unwrap(event)
	device, err := deviceOf(reading, origin)
	if err != nil {
		return dst, err
	}
	ts, at := timeOf(reading.ts, origin.Arrived)
	return append(dst, &iot.PutReading{Reading: iot.Reading{
		DeviceID: device, TS: ts, Time: at, Payload: payload,
	}}), nil
}

// unwrap finds the reading in an event that is valid JSON, and its members.
func unwrap(event []byte) (payload []byte, m members) {
	m = topLevel(event)
	switch {
	case len(m.payload) == 0:
		return event, m
	case m.payload[0] == '{':
		return m.payload, topLevel(m.payload)
	case m.payload[0] == '"':
		if text := []byte(stringOf(m.payload)); json.Valid(text) {
			return text, topLevel(text)
		}
	}
	return m.payload, members{}
}

// deviceOf decides under which device a reading is stored.
func deviceOf(m members, origin iot.Origin) (string, error) {
	if isPlainString(m.deviceID, origin.Device) {
		return origin.Device, nil // the usual case, without a copy
	}
	device := textOf(m.deviceID)
	if device == "" {
		return iot.UnknownDevice, nil
	}
	if len(device) > MaxDeviceID {
		return "", fmt.Errorf("device_id has %d bytes, %d are allowed: %w", len(device), MaxDeviceID, iot.ErrInvalid)
	}
	if origin.Device != "" && device != origin.Device {
		return "", fmt.Errorf("device_id %q is not the publishing device %q (a gateway that speaks for others needs --trust-device-id): %w",
			device, origin.Device, iot.ErrDenied)
	}
	return device, nil
}

// timeOf returns the ts to keep, as JSON text, and the time that orders the
// reading, in milliseconds.
func timeOf(ts []byte, arrived time.Time) (string, int64) {
	text := textOf(ts)
	at, ok := milliseconds(text)
	if !ok {
		return strconv.FormatInt(arrived.Unix(), 10), arrived.UnixMilli()
	}
	if at < 0 || at > arrived.Add(maxAhead).UnixMilli() {
		at = arrived.UnixMilli()
	}
	if len(text) == len(ts) { // a number: its text is its JSON
		return text, at
	}
	return string(ts), at
}

// milliseconds reads a ts in seconds or milliseconds, with or without a
// fraction.
func milliseconds(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < millisecondsFrom && n > -millisecondsFrom {
			n *= 1000
		}
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	if math.Abs(f) < millisecondsFrom {
		f *= 1000
	}
	if math.Abs(f) >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return int64(math.Round(f)), true
}

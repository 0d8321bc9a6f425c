package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// statement is one kind of work, in the languages of the engines.
type statement struct {
	name, payload string
	sql           string
	jq            string // "": nothing to do
	expr          string // "": nothing to do
	filter        bool   // jq and expr say whether the payload goes on
}

// reading is what the guide's device sends.
const reading = `{"device_id": "MyDevice001", "temperature": 36.6, "humidity": 55.21, "ts": 1700000000}`

// kilobyte is a reading of about 1 KB whose temperature comes last.
func kilobyte() string {
	var b strings.Builder
	b.WriteString(`{"device_id":"MyDevice001","ts":1700000000`)
	for i := range 40 {
		fmt.Fprintf(&b, `,"channel_%02d": %d.%02d`, i, i*7, i)
	}
	return b.String() + `,"nested":{"a":[1,2,3]},"temperature":36.6}`
}

// machine is a reading with parts.
const machine = `{"device":{"id":"press-7","location":{"site":"Graz","room":"B12"}},"status":1,` +
	`"samples":[{"name":"in","value":1.5},{"name":"out","value":2.5},{"name":"oil","value":63},{"name":"air","value":4.5}]}`

func statements() []statement {
	const from = " FROM 'sensor/data'"
	return []statement{
		{name: "pass-through", payload: reading, sql: "SELECT *" + from},
		{
			name: "filter", payload: reading, filter: true, sql: "SELECT *" + from + " WHERE temperature > 30",
			jq: ".temperature > 30", expr: "temperature > 30",
		},
		{
			name: "filter, 1 KB", payload: kilobyte(), filter: true, sql: "SELECT *" + from + " WHERE temperature > 30",
			jq: ".temperature > 30", expr: "temperature > 30",
		},
		{
			name: "projection of three fields", payload: reading, sql: "SELECT device_id, temperature, ts" + from,
			jq: "{device_id, temperature, ts}", expr: `{"device_id": device_id, "temperature": temperature, "ts": ts}`,
		},
		{
			name: "arithmetic", payload: reading, sql: "SELECT device_id, temperature * 9 / 5 + 32 AS fahrenheit" + from,
			jq: "{device_id, fahrenheit: (.temperature * 9 / 5 + 32)}", expr: `{"device_id": device_id, "fahrenheit": temperature * 9 / 5 + 32}`,
		},
		{
			name: "strings", payload: reading, sql: "SELECT upper(device_id) AS id, startswith(device_id, 'My') AS mine, length(device_id) AS n" + from,
			jq:   `{id: (.device_id | ascii_upcase), mine: (.device_id | startswith("My")), n: (.device_id | length)}`,
			expr: `{"id": upper(device_id), "mine": device_id startsWith "My", "n": len(device_id)}`,
		},
		{
			name: "nested field and CASE", payload: machine, sql: "SELECT device.location.room, CASE status WHEN 1 THEN 'on' WHEN 0 THEN 'off' ELSE 'unknown' END AS state" + from,
			jq:   `{room: .device.location.room, state: (if .status == 1 then "on" elif .status == 0 then "off" else "unknown" end)}`,
			expr: `{"room": device.location.room, "state": status == 1 ? "on" : (status == 0 ? "off" : "unknown")}`,
		},
		{
			name: "projection of an array", payload: machine, sql: "SELECT (SELECT name, value * 2 AS twice FROM samples WHERE value > 2) AS rows" + from,
			jq:   `{rows: [.samples[] | select(.value > 2) | {name, twice: (.value * 2)}]}`,
			expr: `{"rows": samples | filter(.value > 2) | map({{"name": .name, "twice": .value * 2}})}`,
		},
		{
			name: "all and one more", payload: reading, sql: "SELECT *, temperature > 30 AS hot" + from,
			jq: ". + {hot: (.temperature > 30)}", expr: `with($env, "hot", temperature > 30)`,
		},
		{
			name: "text with fields", payload: reading, sql: "SELECT VALUE concat('device ', device_id, ' is at ', temperature)" + from,
			jq: `"device \(.device_id) is at \(.temperature)"`, expr: `"device " + device_id + " is at " + string(temperature)`,
		},
	}
}

// compile returns fieldline, gojq and expr.
func (s statement) compile() ([]engine, error) {
	ours, err := compileFieldline(s)
	if err != nil {
		return nil, err
	}
	jq, err := compileJQ(s)
	if err != nil {
		return nil, err
	}
	other, err := compileExpr(s)
	return []engine{ours, jq, other}, err
}

// compare checks that the engines give the same JSON, but for the last digits of
// numbers: the peers compute in binary.
func (s statement) compare(engines []engine) error {
	var first any
	for i, e := range engines {
		out, err := e([]byte(s.payload))
		if err == errNone {
			continue
		}
		if err != nil {
			return err
		}
		var v any
		if err := json.NewDecoder(bytes.NewReader(out)).Decode(&v); err != nil {
			return fmt.Errorf("engine %d gives %q: %w", i, out, err)
		}
		if i == 0 {
			first = v
		} else if !alike(v, first) {
			return fmt.Errorf("engine %d gives %s, and fieldline %v", i, out, first)
		}
	}
	return nil
}

func alike(a, b any) bool {
	switch b := b.(type) {
	case float64:
		f, ok := a.(float64)
		return ok && math.Abs(f-b) <= 1e-12*math.Abs(b)
	case map[string]any:
		m, ok := a.(map[string]any)
		if !ok || len(m) != len(b) {
			return false
		}
		for key := range b {
			if !alike(m[key], b[key]) {
				return false
			}
		}
		return true
	case []any:
		list, ok := a.([]any)
		return ok && slices.EqualFunc(list, b, alike)
	}
	return a == b
}

package ddb

import (
	"encoding/json"
	"testing"
)

const reading = `{"device_id":{"S":"MyDevice001"},"ts":{"N":"1767225600"},"payload":{"M":{"temperature":{"N":"21.5"},"humidity":{"N":"40.25"},"note":{"S":"all well"}}},"tags":{"SS":["a","b"]}}`

func BenchmarkDecodeJSON(b *testing.B) {
	b.SetBytes(int64(len(reading)))
	for b.Loop() {
		var i Item
		if err := i.UnmarshalJSON([]byte(reading)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingJSON is the same through encoding/json, into a struct of the
// wire's shape that checks nothing.
func BenchmarkEncodingJSON(b *testing.B) {
	type wire struct {
		S, N, B    *string
		SS, NS, BS []string
		M          map[string]json.RawMessage
		L          []json.RawMessage
		BOOL, NULL *bool
	}
	b.SetBytes(int64(len(reading)))
	for b.Loop() {
		var i map[string]wire
		if err := json.Unmarshal([]byte(reading), &i); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStoredItem(b *testing.B) {
	var i Item
	if err := i.UnmarshalJSON([]byte(reading)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DecodeItem(AppendItem(nil, i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCondition(b *testing.B) {
	s, err := NewScope(nil, map[string]Value{":ts": Int(5)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := s.Condition("attribute_not_exists(device_id) OR ts < :ts")
		if err != nil {
			b.Fatal(err)
		}
		c.Matches(nil)
	}
}

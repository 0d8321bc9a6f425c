package iotsql

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// kilobyte is a reading of about 1 KB whose temperature comes last.
func kilobyte() []byte {
	var b strings.Builder
	b.WriteString(`{"device_id":"MyDevice001","ts":1700000000`)
	for i := range 40 {
		fmt.Fprintf(&b, `,"channel_%02d": %d.%02d`, i, i*7, i)
	}
	b.WriteString(`,"nested":{"a":[1,2,3]},"temperature":36.6}`)
	return []byte(b.String())
}

// reading is what the guide's device sends.
func reading() []byte {
	return []byte(`{"device_id": "MyDevice001", "temperature": 36.6, "humidity": 55.21, "ts": 1700000000}`)
}

func benchmark(b *testing.B, payload []byte, sql string) {
	s, err := Parse(sql, "2016-03-23")
	if err != nil {
		b.Fatal(err)
	}
	env := &Env{Message: &iot.Message{Topic: "sensor/data", Payload: payload}}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := s.Eval(env); err != nil || !got.Fired {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkPassthrough(b *testing.B) { benchmark(b, reading(), "SELECT * FROM 'sensor/data'") }

func BenchmarkFilter(b *testing.B) {
	benchmark(b, reading(), "SELECT * FROM 'sensor/data' WHERE temperature > 30")
}

func BenchmarkFilterKilobyte(b *testing.B) {
	benchmark(b, kilobyte(), "SELECT * FROM 'sensor/data' WHERE temperature > 30")
}

func BenchmarkProjection(b *testing.B) {
	benchmark(b, reading(), "SELECT device_id, temperature, ts FROM 'sensor/data'")
}

func BenchmarkArithmetic(b *testing.B) {
	benchmark(b, kilobyte(), "SELECT device_id, temperature * 9 / 5 + 32 AS fahrenheit, timestamp() AS at FROM 'sensor/data'")
}

func BenchmarkEnrich(b *testing.B) {
	benchmark(b, kilobyte(), "SELECT *, topic(2) AS kind FROM 'sensor/data'")
}

func BenchmarkRows(b *testing.B) {
	benchmark(b, []byte(`{"samples":[{"n":"a","v":1.5,"u":"C"},{"n":"b","v":2.5,"u":"C"},{"n":"c","v":3.5,"u":"F"},{"n":"d","v":4.5,"u":"F"}]}`),
		"SELECT (SELECT n AS name, v * 2 AS twice FROM samples WHERE v > 2) AS rows FROM 'sensor/data'")
}

// TestEvaluationAllocatesOnlyItsResult holds the promise that a rule which forwards
// the payload costs no garbage, and one that selects from it only what it selects.
func TestEvaluationAllocatesOnlyItsResult(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want float64
	}{
		{"SELECT * FROM 't'", 0},
		{"SELECT * FROM 't' WHERE temperature > 30", 0},
		{"SELECT * FROM 't' WHERE device_id = 'MyDevice001' AND NOT nested.b = 1", 0},
		{"SELECT device_id, temperature, nested FROM 't'", 1},
		{"SELECT device_id, temperature * 9 / 5 + 32 AS fahrenheit FROM 't'", 1},
		{"SELECT *, temperature > 30 AS hot FROM 't'", 1},
		{"SELECT (SELECT VALUE x * 2 FROM nested.a AS x WHERE x > 1) AS twice FROM 't'", 1},
	} {
		s, err := Parse(c.sql, "2016-03-23")
		if err != nil {
			t.Fatal(err)
		}
		env := &Env{Message: &iot.Message{Topic: "t", Payload: kilobyte()}}
		s.Eval(env)          // takes the memory that env keeps
		least := math.Inf(1) // of several: the runtime allocates too
		for range 20 {
			least = min(least, testing.AllocsPerRun(1, func() { s.Eval(env) }))
		}
		if least != c.want {
			t.Errorf("%s: %v allocations, want %v", c.sql, least, c.want)
		}
	}
}

package rule

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// rules is an engine of n rules that each filter one device's topic.
func rules(b *testing.B, n int) *Engine {
	e, err := New(Config{Account: account, Store: memory{}, Functions: functions{evaluate: stores}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		err := e.Create(iot.Rule{
			Name: "rule" + strconv.Itoa(i), SQLVersion: "2016-03-23", Actions: []iot.Action{lambdaTo("ProcessIoTData")},
			SQL: fmt.Sprintf("SELECT * FROM 'site/%d/+/data' WHERE temperature > 30", i),
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// BenchmarkEvaluateRules is a message that matches one rule of so many: always the
// same one, or each in turn, whose memory the processor's caches do not all hold.
func BenchmarkEvaluateRules(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		e := rules(b, n)
		var topics []string
		for i := range n {
			topics = append(topics, fmt.Sprintf("site/%d/line/data", i))
		}
		run := func(b *testing.B, topics []string) {
			b.ReportAllocs()
			m := message("", `{"device_id": "MyDevice001", "temperature": 36.6, "humidity": 55.21, "ts": 1700000000}`)
			var effects []iot.Effect
			for i := 0; b.Loop(); i++ {
				m.Topic = topics[i%len(topics)]
				if effects = e.Evaluate(effects[:0], m); len(effects) != 1 {
					b.Fatal(effects)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) { run(b, topics[:1]) })
		b.Run(fmt.Sprintf("%d/each", n), func(b *testing.B) { run(b, topics) })
	}
}

// BenchmarkActions is a message of 1 KB that one action takes.
func BenchmarkActions(b *testing.B) {
	for _, a := range []iot.Action{
		lambdaTo("ProcessIoTData"), republishTo("out/${topic(1)}"),
		anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`),
		anAction("kinesis", `{"streamName":"s","partitionKey":"${id}",`+role+`}`),
		anAction("dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"${id}",`+role+`}`),
	} {
		b.Run(a.Kind, func(b *testing.B) {
			b.ReportAllocs()
			e, err := New(Config{Account: account, Store: memory{}, Functions: functions{evaluate: stores}})
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't'", Actions: []iot.Action{a}}); err != nil {
				b.Fatal(err)
			}
			m := message("t", `{"id":"d","data":"`+strings.Repeat("x", 1000)+`"}`)
			var effects []iot.Effect
			for b.Loop() {
				if effects = e.Evaluate(effects[:0], m); len(letters(effects)) != 0 {
					b.Fatal(effects)
				}
			}
		})
	}
}

// BenchmarkCreateRules is what creating one of so many rules costs, without storing it.
func BenchmarkCreateRules(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				rules(b, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/rule")
		})
	}
}

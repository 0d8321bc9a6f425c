package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheReportComparesMedians(t *testing.T) {
	sc := scenario{name: "fan-in", columns: []string{"msg/s", "CPU"}}
	brokers := []broker{{name: "peer"}, {name: "idler"}, {name: subject}}
	var r report
	r.add(sc, brokers, outcome{
		values: map[string][][]float64{
			"peer":  {{300, 9}, {100, 1}, {200, 5}},
			subject: {{400, 2}, {800, 2}, {100, 2}},
		},
		failed: map[string][]error{"idler": {errors.New("round 1: it slept")}},
	})
	var out strings.Builder
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"| scenario | broker | msg/s | CPU | msg/s, lowest to highest | msg/s, fieldline ÷ it | CPU, fieldline ÷ it |",
		"| --- | --- | --- | --- | --- | --- | --- |",
		"| fan-in | peer | 200 | 5.00 | 100 to 300 | 2.00 | 0.40 |",
		"| | idler | – | – | – | – | – |",
		"| | fieldline | 400 | 2.00 | 100 to 800 | 1.00 | 1.00 |",
		"",
		"Not completed: fan-in: idler: round 1: it slept",
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the report is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestAPercentileIsAValueThatWasMeasured(t *testing.T) {
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i+1)*time.Microsecond)
	}
	for percent, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(sorted, percent); got != want {
			t.Errorf("percentile %d of 1 to 200 µs is %v, want %v", percent, got, want)
		}
	}
	if got := percentile(sorted[:1], 50); got != 1 {
		t.Errorf("percentile 50 of 1 µs is %v", got)
	}
}

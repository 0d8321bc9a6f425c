package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// usage is what a broker has used at the start of a measurement.
type usage struct {
	of          running
	start       time.Time
	cpu         time.Duration
	allocations float64
}

func startUsage(r running) (u usage, err error) {
	u.of = r
	if u.allocations, err = r.countAllocations(); err != nil {
		return u, err
	}
	if u.cpu, err = process.CPUTime(r.PID); err != nil {
		return u, err
	}
	u.start = time.Now()
	return u, nil
}

// cost is how many things were done a second, and what each cost.
type cost struct {
	perSecond   float64
	cpu         float64 // µs
	allocations float64 // NaN where the broker does not tell
}

// since returns the cost of n things done since the start.
func (u usage) since(n int64) (c cost, err error) {
	took := time.Since(u.start)
	cpu, err := process.CPUTime(u.of.PID)
	if err != nil {
		return c, err
	}
	allocations, err := u.of.countAllocations()
	if err != nil {
		return c, err
	}
	if n == 0 {
		return c, errors.New("nothing was done in the time given")
	}
	each := float64(n)
	return cost{each / took.Seconds(), float64((cpu - u.cpu).Microseconds()) / each, (allocations - u.allocations) / each}, nil
}

// countAllocations is how many heap objects the broker has allocated by its own
// count; NaN where it does not tell.
func (r running) countAllocations() (float64, error) {
	if r.metrics == "" {
		return math.NaN(), nil
	}
	res, err := http.Get(r.metrics)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%s has no go_memstats_mallocs_total", r.metrics)
}

// Command sql measures what evaluating rules costs: ten typical statements beside
// the same work done by gojq and by expr, and a message among 10 to 10,000 rules.
//
// Everything begins with the bytes of a JSON payload and ends with the bytes of the
// result; a filter ends with the decision, and the payload goes on as it is. The
// engines' results are compared before anything is measured. Engines take turns
// within each round, all in this process, so that the machine's drift falls on all
// of them; tables show medians. A microsecond is of processor time, the garbage
// collector's included.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// settings are those of one run.
type settings struct {
	rounds   int
	duration time.Duration // of one measurement
	only     string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 3, "measurements of each")
	flag.DurationVar(&s.duration, "duration", 300*time.Millisecond, "how long one measurement takes")
	flag.StringVar(&s.only, "only", "", "measure only the statements, or the part rules, whose name holds this")
	flag.Parse()
	if err := run(os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, s settings) error {
	fmt.Fprintf(w, "%s; %d rounds, medians; %d processors, %s\n\n", strings.Join(versions(), ", "), s.rounds, runtime.NumCPU(), runtime.Version())
	var chosen []statement
	for _, st := range statements() {
		if strings.Contains(st.name, s.only) {
			chosen = append(chosen, st)
		}
	}
	if len(chosen) > 0 {
		if err := measureStatements(w, s, chosen); err != nil {
			return err
		}
	}
	if !strings.Contains("rules", s.only) {
		return nil
	}
	return measureRules(w, s)
}

func measureStatements(w io.Writer, s settings, chosen []statement) error {
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(table, "| statement\t| fieldline µs (allocations)\t| gojq µs (allocations)\t| expr µs (allocations)\t| the better peer ÷ fieldline\t|\n")
	fmt.Fprintf(table, "|---\t|---\t|---\t|---\t|---\t|\n")
	for _, st := range chosen {
		engines, err := st.compile()
		if err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		if err := st.compare(engines); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		payload := []byte(st.payload)
		costs := measure(s, engines, func(e engine) func() error {
			return func() error { _, err := e(payload); return err }
		})
		better := min(orInfinite(costs[1].micros), orInfinite(costs[2].micros))
		fmt.Fprintf(table, "| %s\t| **%s**\t| %s\t| %s\t| %s\t|\n", st.name, costs[0], costs[1], costs[2], ratio(better, costs[0].micros))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// measure takes turns at the engines, and returns the medians of their costs.
func measure[E any](s settings, engines []E, work func(E) func() error) []cost {
	costs := make([][]cost, len(engines))
	for range s.rounds {
		for i, e := range engines {
			costs[i] = append(costs[i], costOf(work(e), s.duration))
		}
	}
	medians := make([]cost, len(engines))
	for i := range costs {
		slices.SortFunc(costs[i], compareMicros)
		medians[i] = costs[i][len(costs[i])/2]
	}
	return medians
}

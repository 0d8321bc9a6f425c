package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// none stands in a table for what a broker cannot do.
const none = "–"

// report is a sequence of Markdown tables; scenarios with the same columns share
// one.
type report struct {
	tables []table
	notes  []string // on rounds that were not completed
}

type table struct {
	columns []string
	rows    [][]string
}

// compared is how many columns, at most, fieldline's ratio to a peer is shown of.
const compared = 2

// add adds a row for each broker: the medians of its rounds, the lowest and
// highest of the first column, and how many times the first columns fieldline's
// are.
func (r *report) add(sc scenario, brokers []broker, o outcome) {
	if n := len(r.tables); n == 0 || !slices.Equal(r.tables[n-1].columns, sc.columns) {
		r.tables = append(r.tables, table{columns: sc.columns})
	}
	t := &r.tables[len(r.tables)-1]
	for i, b := range brokers {
		row := []string{"", b.name}
		if i == 0 {
			row[0] = sc.name
		}
		t.rows = append(t.rows, append(row, cells(len(sc.columns), o.values[b.name], o.values[subject])...))
		for _, err := range o.failed[b.name] {
			r.notes = append(r.notes, fmt.Sprintf("Not completed: %s: %s: %v", sc.name, b.name, err))
		}
	}
}

// cells are the medians, the range and the ratios of one broker's rounds.
func cells(columns int, rounds, ours [][]float64) []string {
	ratios := min(columns, compared)
	if len(rounds) == 0 {
		return slices.Repeat([]string{none}, columns+1+ratios)
	}
	var row []string
	for c := range columns {
		row = append(row, number(median(rounds, c)))
	}
	first := column(rounds, 0)
	row = append(row, number(first[0])+" to "+number(first[len(first)-1]))
	for c := range ratios {
		ratio := math.NaN()
		if len(ours) > 0 {
			ratio = median(ours, c) / median(rounds, c)
		}
		row = append(row, number(ratio))
	}
	return row
}

// column is a value of all rounds, in order of size.
func column(rounds [][]float64, c int) []float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = r[c]
	}
	slices.Sort(values)
	return values
}

func median(rounds [][]float64, c int) float64 {
	values := column(rounds, c)
	return values[len(values)/2]
}

// number has as many digits as mean something.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return none
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func (r *report) write(w io.Writer) error {
	for _, t := range r.tables {
		aligned := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
		head := append(append([]string{"scenario", "broker"}, t.columns...), t.columns[0]+", lowest to highest")
		for _, name := range t.columns[:min(len(t.columns), compared)] {
			head = append(head, name+", "+subject+" ÷ it")
		}
		rule := slices.Repeat([]string{"---"}, len(head))
		for _, row := range append([][]string{head, rule}, t.rows...) {
			fmt.Fprintf(aligned, "| %s\t|\n", strings.Join(row, "\t| "))
		}
		if err := aligned.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	for _, note := range r.notes {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
}

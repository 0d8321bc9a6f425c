package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
)

// rows prints a list: a table in a terminal, one JSON document a line otherwise.
type rows struct {
	table *tabwriter.Writer // nil when not a terminal
	out   io.Writer
	err   error
}

func newRows(out io.Writer, head ...string) *rows {
	r := &rows{out: out}
	if terminal(out) {
		r.table = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(r.table, strings.Join(head, "\t"))
	}
	return r
}

// add prints one row: cells for people, document for programs.
func (r *rows) add(document json.RawMessage, cells ...string) {
	if r.table != nil {
		fmt.Fprintln(r.table, strings.Join(cells, "\t"))
		return
	}
	var line bytes.Buffer
	if err := json.Compact(&line, document); err != nil {
		r.err = errors.Join(r.err, err)
		return
	}
	fmt.Fprintln(r.out, line.String())
}

// end finishes the list and returns its first error.
func (r *rows) end(err error) error {
	if r.table != nil {
		err = errors.Join(err, r.table.Flush())
	}
	return errors.Join(err, r.err)
}

// terminal reports whether a stream is one that a person reads.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// pages calls each with every element of a list of the iot service, through all
// of its pages.
func (t *target) pages(ctx context.Context, path, member string, each func(json.RawMessage) error) error {
	next := ""
	for {
		query := url.Values{}
		if next != "" {
			query.Set("nextToken", next)
			query.Set("marker", next)
		}
		var page map[string]json.RawMessage
		if err := t.call(ctx, request{service: "iot", method: "GET", path: path, query: query}, nil, &page); err != nil {
			return err
		}
		var elements []json.RawMessage
		if raw := page[member]; raw != nil {
			if err := json.Unmarshal(raw, &elements); err != nil {
				return fmt.Errorf("answer of %s: %w", path, err)
			}
		}
		for _, e := range elements {
			if err := each(e); err != nil {
				return err
			}
		}
		next = ""
		for _, token := range []string{"nextToken", "nextMarker"} {
			if raw := page[token]; raw != nil {
				_ = json.Unmarshal(raw, &next) // null stays ""
			}
		}
		if next == "" {
			return nil
		}
	}
}

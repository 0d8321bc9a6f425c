// Command aws measures the AWS side of Fieldline beside what it is compared to:
//
//   - tables: PutItem, GetItem and Query through the control address beside
//     dynalite in memory, the same signed requests to both;
//   - functions: cold start and warm invocation of each Lambda zip, with its size;
//   - broadcast: one reading pushed to many WebSocket connections by the Lambda
//     ProcessIoTData beside the guide's loop, one post after another.
//
// Peers take turns within each round, so that the machine's drift falls on all of
// them; tables show medians. Everything runs on loopback.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// settings are those of one run.
type settings struct {
	fieldline   string
	lambdas     string
	peer        string // a script for node that serves DynamoDB: PEER PORT
	python      string // an interpreter with boto3
	requests    int    // a measurement of one table operation
	connections int    // of the broadcast
	rounds      int
	only        string
}

func main() {
	var s settings
	flag.StringVar(&s.fieldline, "fieldline", "../bin/fieldline", "the program to measure")
	flag.StringVar(&s.lambdas, "lambdas", "../bin/lambda", "folder of the Lambda zips")
	flag.StringVar(&s.peer, "peer", "../compat/dynalite.mjs", "script for node that serves another DynamoDB on the port that it is given")
	flag.StringVar(&s.python, "python", "../compat/.venv/bin/python", "Python with boto3, for the guide's loop")
	flag.IntVar(&s.requests, "requests", 4000, "requests a measurement of a table operation")
	flag.IntVar(&s.connections, "connections", 2000, "WebSocket connections of the broadcast")
	flag.IntVar(&s.rounds, "rounds", 3, "measurements of each")
	flag.StringVar(&s.only, "only", "", "measure only the part whose name holds this: tables, functions, broadcast")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	for _, part := range []struct {
		name    string
		measure func(context.Context, settings, *tabwriter.Writer) error
	}{
		{"tables", measureTables},
		{"functions", measureFunctions},
		{"broadcast", measureBroadcast},
	} {
		if !strings.Contains(part.name, s.only) {
			continue
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		if err := part.measure(ctx, s, table); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintln(table)
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// zip is a Lambda zip of this machine's kind, with its size in bytes.
func (s *settings) zip(name, arch string) (path string, size int64, err error) {
	path = filepath.Join(s.lambdas, name+"-"+arch+".zip")
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, fmt.Errorf("%w (make lambda builds it)", err)
	}
	return path, info.Size(), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

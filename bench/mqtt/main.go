// Command mqtt measures MQTT brokers side by side: 50 publishers, one
// subscriber, 128-byte payloads, at most 64 messages of a publisher outstanding,
// 16 a write, over plain loopback connections. Each round starts every broker
// afresh, in turn, so that the machine's drift falls on all of them; the table
// shows medians and the ratio to the first broker named.
//
// Fieldline runs with its policies enforced; where a line says durable, every
// message is stored by the rule SendToLambdaRule and synced before its PUBACK.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// settings are those of one run.
type settings struct {
	fieldline, mosquitto string
	publishers           int
	messages             int // in all, a measurement
	rounds               int
	profile              string
	only                 string
}

// scenario is one line of the table.
type scenario struct {
	name  string
	topic string
	qos   byte
}

func scenarios() []scenario {
	return []scenario{
		{"fan-in QoS 1, durable on fieldline", "sensor/data", 1},
		{"fan-in QoS 1, no rule", "bench/data", 1},
		{"fan-in QoS 0, no rule", "bench/data", 0},
	}
}

// result is one measurement.
type result struct {
	perSecond float64 // messages that reached the subscriber
	cpu       float64 // of the broker's process, µs a message
}

func main() {
	var s settings
	flag.StringVar(&s.fieldline, "fieldline", "../bin/fieldline", "the program to measure")
	flag.StringVar(&s.mosquitto, "mosquitto", "mosquitto", "the peer")
	flag.IntVar(&s.publishers, "publishers", 50, "publishing connections")
	flag.IntVar(&s.messages, "messages", 200_000, "messages a measurement")
	flag.IntVar(&s.rounds, "rounds", 3, "measurements of each broker and scenario")
	flag.StringVar(&s.profile, "cpu-profile", "", "write the last CPU profile of fieldline to this file")
	flag.StringVar(&s.only, "only", "", "measure only scenarios whose name holds this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	brokers := []broker{mosquittoBroker(s.mosquitto), fieldlineBroker(s.fieldline, s.profile)}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tbroker\tmsg/s\tratio\tbroker CPU µs/msg")
	for _, sc := range scenarios() {
		if !strings.Contains(sc.name, s.only) {
			continue
		}
		results := make([][]result, len(brokers))
		for range s.rounds {
			for i, b := range brokers {
				r, err := measure(ctx, b, sc, s)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", b.name, sc.name, err)
				}
				results[i] = append(results[i], r)
			}
		}
		first := median(results[0], func(r result) float64 { return r.perSecond })
		for i, b := range brokers {
			rate := median(results[i], func(r result) float64 { return r.perSecond })
			cpu := median(results[i], func(r result) float64 { return r.cpu })
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.2f\t%.1f\n", sc.name, b.name, rate, rate/first, cpu)
		}
	}
	return table.Flush()
}

// measure starts a broker, sends the messages through it, and stops it.
func measure(ctx context.Context, b broker, sc scenario, s settings) (r result, err error) {
	running, err := b.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()
	f, err := newFanIn(running.Addr, sc, s)
	if err != nil {
		return r, err
	}
	defer f.close()
	if err := f.send(ctx, s.messages/10); err != nil { // warm
		return r, err
	}
	before, err := process.CPUTime(running.PID)
	if err != nil {
		return r, err
	}
	start := time.Now()
	if err := f.send(ctx, s.messages); err != nil {
		return r, err
	}
	took := time.Since(start)
	after, err := process.CPUTime(running.PID)
	if err != nil {
		return r, err
	}
	return result{float64(s.messages) / took.Seconds(), float64((after - before).Microseconds()) / float64(s.messages)}, nil
}

func median(results []result, of func(result) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

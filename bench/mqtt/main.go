// Command mqtt measures MQTT brokers side by side, over loopback. Each round
// starts every broker afresh for each measurement, in turn, so that the machine's
// drift falls on all of them; the tables show medians, the lowest and highest
// round, and how many times a peer's figure fieldline's is (of times and memory:
// better below 1). A dash stands where a broker cannot do it; a round that a broker
// did not complete is told below the tables, and is an error if it is fieldline's.
//
// Payloads are 128 bytes. Throughput is measured with at most 64 messages of a
// publisher outstanding (until the subscribers have them and, at QoS 1, the
// publisher its PUBACK), 16 a write, for -duration or -messages, whichever ends
// first. Fieldline runs with its policies enforced; where a line says durable,
// every message is stored by its rule SendToLambdaRule and synced before its
// PUBACK. The peers do neither.
//
// The forwarder is a program of ours that only moves bytes (see its comment): a
// ceiling for what the machine and this load generator can do, not a broker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// settings are those of one run.
type settings struct {
	fieldline, mosquitto string
	peers                string // names, separated by commas
	only                 string
	rounds               int
	publishers           int
	subscribers          int
	messages             int64         // of a throughput measurement at most; 0 is without bound
	duration             time.Duration // of a measurement at most
	rate                 int           // messages a second where latency is measured
	idle                 int           // connections
	settle               time.Duration // before memory is read
	cpuProfile           string
	memProfile           string
}

func main() {
	var s settings
	flag.StringVar(&s.fieldline, "fieldline", "../bin/fieldline", "the program to measure")
	flag.StringVar(&s.mosquitto, "mosquitto", "mosquitto", "the program of the peer mosquitto")
	flag.StringVar(&s.peers, "peers", "mosquitto,mochi,nats,forwarder", "what to measure beside fieldline, separated by commas")
	flag.StringVar(&s.only, "only", "", "measure only scenarios whose name holds this")
	flag.IntVar(&s.rounds, "rounds", 3, "measurements of each broker and scenario")
	flag.IntVar(&s.publishers, "publishers", 50, "publishing connections of a fan-in, at most 100")
	flag.IntVar(&s.subscribers, "subscribers", 200, "subscribers of a fan-out")
	flag.Int64Var(&s.messages, "messages", 0, "end a throughput measurement after so many messages (of a fan-out: deliveries); 0 is by -duration alone")
	flag.DurationVar(&s.duration, "duration", 2*time.Second, "how long a measurement publishes or connects")
	flag.IntVar(&s.rate, "rate", 2000, "messages a second where latency is measured")
	flag.IntVar(&s.idle, "idle", 5000, "idle connections, and devices with a certificate")
	flag.DurationVar(&s.settle, "settle", 3*time.Second, "how long a broker has to settle before its memory is read")
	flag.StringVar(&s.cpuProfile, "cpu-profile", "", "have fieldline write the CPU profile of its last measurement to this file")
	flag.StringVar(&s.memProfile, "mem-profile", "", "have fieldline write the allocation profile of its last measurement to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if s.publishers < 1 || s.publishers > 100 || s.rounds < 1 {
		return errors.New("-publishers is 1 to 100, -rounds at least 1")
	}
	if err := raiseFileLimit(uint64(s.idle) + 1000); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-mqtt-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	brokers, err := newBrokers(ctx, s, dir)
	if err != nil {
		return err
	}
	var failed error
	var tables report
	for _, sc := range scenarios(s) {
		if !strings.Contains(sc.name, s.only) {
			continue
		}
		o := sc.measure(ctx, brokers, s.rounds)
		tables.add(sc, brokers, o)
		for _, err := range o.failed[subject] {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", sc.name, err))
		}
		if ctx.Err() != nil {
			break // what has been measured is still shown
		}
	}
	printMethod(os.Stdout, brokers, s)
	return errors.Join(tables.write(os.Stdout), failed, ctx.Err())
}

// printMethod says what the tables are of.
func printMethod(w io.Writer, brokers []broker, s settings) {
	var names []string
	for _, b := range brokers {
		names = append(names, strings.TrimSpace(b.name+" "+b.version))
	}
	fmt.Fprintf(w, "%s; %d rounds, medians; %d processors, %s\n\n", strings.Join(names, ", "), s.rounds, runtime.NumCPU(), runtime.Version())
}

// raiseFileLimit lets this process, and with it those that it starts, have as
// many open files as the system allows, which must be at least want.
func raiseFileLimit(want uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files to %d: %w", limit.Max, err)
	}
	if limit.Cur < want {
		return fmt.Errorf("at most %d files may be open (ulimit -Hn) and %d are needed: raise it, or measure with a smaller -idle", limit.Cur, want)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// scenario is what a broker is put through, and what is measured of it.
type scenario struct {
	name    string
	columns []string // of the values that run returns; the first two are compared
	secure  bool     // over mutual TLS
	without []string // brokers that cannot
	run     func(ctx context.Context, d dialer, r running) ([]float64, error)
}

// The topics of the scenarios: durable has a rule on fieldline that stores.
const (
	durableTopic = "sensor/data"
	plainTopic   = "bench/data"
)

func scenarios(s settings) []scenario {
	in, out := fmt.Sprintf("fan-in %d→1", s.publishers), fmt.Sprintf("fan-out 1→%d", s.subscribers)
	perMessage := []string{"msg/s", "CPU µs/msg", "allocations/msg"}
	perDelivery := []string{"deliveries/s", "CPU µs/delivery", "allocations/delivery"}
	latency := []string{"p50 µs", "p99 µs", "msg/s", "CPU µs/msg"}
	memory := []string{"KB RSS/connection"}
	perConnection := []string{"CPU µs/connection", "connections/s"}
	forwarder := []string{"forwarder"} // has no sessions and no TLS, and its memory says nothing
	return []scenario{
		{in + " QoS 1, durable on fieldline", perMessage, false, nil, fanIn{topic: durableTopic, qos: 1, s: s}.run},
		{in + " QoS 1, persistent subscriber, durable on fieldline", perMessage, false, forwarder, fanIn{topic: durableTopic, qos: 1, persistent: true, s: s}.run},
		{in + " QoS 1, no rule", perMessage, false, nil, fanIn{topic: plainTopic, qos: 1, s: s}.run},
		{in + " QoS 0, no rule", perMessage, false, nil, fanIn{topic: plainTopic, qos: 0, s: s}.run},
		{out + " QoS 0", perDelivery, false, nil, fanOut{qos: 0, s: s}.run},
		{out + " QoS 1", perDelivery, false, nil, fanOut{qos: 1, s: s}.run},
		{fmt.Sprintf("latency 1→1 QoS 1 at %d msg/s, no rule", s.rate), latency, false, nil, paced{s}.run},
		{fmt.Sprintf("%d idle connections, plain", s.idle), memory, false, forwarder, idle{s}.run},
		{fmt.Sprintf("%d idle connections, mTLS", s.idle), memory, true, forwarder, idle{s}.run},
		{"mTLS handshake + CONNECT, 2 dialers", perConnection, true, forwarder, handshake{2, s}.run},
		{"mTLS handshake + CONNECT, 32 dialers", perConnection, true, forwarder, handshake{32, s}.run},
	}
}

// outcome is what became of a scenario: the values of the rounds that each broker
// completed, and why it did not complete the others.
type outcome struct {
	values map[string][][]float64
	failed map[string][]error
}

// measure has every broker that can go through the scenario in turn, round by
// round. One that fails does not keep the others from going on.
func (sc scenario) measure(ctx context.Context, brokers []broker, rounds int) outcome {
	o := outcome{map[string][][]float64{}, map[string][]error{}}
	for round := range rounds {
		for _, b := range brokers {
			if slices.Contains(sc.without, b.name) || ctx.Err() != nil {
				continue
			}
			values, err := sc.measureOnce(ctx, b)
			switch {
			case ctx.Err() != nil: // what is interrupted is no measurement
			case err != nil:
				o.failed[b.name] = append(o.failed[b.name], fmt.Errorf("round %d: %w", round+1, err))
				fmt.Fprintf(os.Stderr, "%s: round %d: %s: %v\n", sc.name, round+1, b.name, err)
			default:
				o.values[b.name] = append(o.values[b.name], values)
				fmt.Fprintf(os.Stderr, "%s: round %d: %s: %s\n", sc.name, round+1, b.name, sc.describe(values))
			}
		}
	}
	return o
}

// measureOnce starts a broker, has it go through the scenario, and stops it.
func (sc scenario) measureOnce(ctx context.Context, b broker) (values []float64, err error) {
	var f *fleet
	if sc.secure {
		if f, err = b.fleet(ctx); err != nil {
			return nil, err
		}
	}
	r, err := b.start(ctx, sc.secure)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Stop()) }()
	return sc.run(ctx, dialer{r.Addr, f}, r)
}

func (sc scenario) describe(values []float64) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = number(v) + " " + sc.columns[i]
	}
	return strings.Join(parts, ", ")
}

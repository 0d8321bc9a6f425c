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

// measure has every broker that can go through the scenario in turn, round by
// round, and returns the values of each round by broker. A broker that fails once
// is not tried again; the others go on.
func (sc scenario) measure(ctx context.Context, brokers []broker, rounds int) (results map[string][][]float64, failed error) {
	results = map[string][][]float64{}
	broken := slices.Clone(sc.without)
	for round := range rounds {
		for _, b := range brokers {
			if slices.Contains(broken, b.name) {
				continue
			}
			values, err := sc.measureOnce(ctx, b)
			if ctx.Err() != nil {
				return results, failed
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %s: %w", sc.name, b.name, err))
				broken = append(broken, b.name)
				continue
			}
			results[b.name] = append(results[b.name], values)
			fmt.Fprintf(os.Stderr, "%s: round %d: %s: %s\n", sc.name, round+1, b.name, sc.describe(values))
		}
	}
	return results, failed
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

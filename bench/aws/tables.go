package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/fieldline-iot/fieldline/bench/process"
)

const (
	devices   = 1000
	perDevice = 50
	dynamodb  = "DynamoDB_20120810."
)

// operation is one request of the comparison; n varies the item.
type operation struct {
	name, target string
	body         func(n int) []byte
}

func operations() []operation {
	return []operation{
		{"PutItem", "PutItem", putBody},
		{"GetItem", "GetItem", func(n int) []byte {
			return fmt.Appendf(nil, `{"TableName":"Bench","Key":{"device":{"S":"device-%d"},"ts":{"N":"%d"}}}`, n%devices, n/devices%perDevice)
		}},
		{"Query (50 items)", "Query", func(n int) []byte {
			return fmt.Appendf(nil, `{"TableName":"Bench","KeyConditionExpression":"device = :d AND ts >= :t","ExpressionAttributeValues":{":d":{"S":"device-%d"},":t":{"N":"0"}}}`, n%devices)
		}},
	}
}

func putBody(n int) []byte {
	return fmt.Appendf(nil, `{"TableName":"Bench","Item":{"device":{"S":"device-%d"},"ts":{"N":"%d"},"payload":{"M":{"temperature":{"N":"24.85"},"humidity":{"N":"43.1"},"status":{"S":"ok"}}}}}`,
		n%devices, n/devices%perDevice)
}

// rate is one measurement.
type rate struct {
	perSecond float64
	cpu       float64 // of the server's process, µs a request
}

// measureTables compares the operations with 1 and with 32 requests at once. The
// client is on the same processors, and takes most of them: what a request costs
// the server is in its own column.
func measureTables(ctx context.Context, s settings, table *tabwriter.Writer) (err error) {
	ours, err := startFieldline(ctx, s.fieldline)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	peer, err := startPeer(ctx, s.peer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.stop()) }()
	servers := []*endpoint{peer, ours}
	for _, e := range servers {
		if err := fill(ctx, e); err != nil {
			return err
		}
	}
	fmt.Fprintln(table, "operation\tat once\tserver\treq/s\tratio\tserver CPU µs/req\tratio")
	for _, op := range operations() {
		for _, atOnce := range []int{1, 32} {
			rates, costs := make([][]float64, len(servers)), make([][]float64, len(servers))
			for range s.rounds {
				for i, e := range servers {
					r, err := measureRate(ctx, e, op, atOnce, s.requests)
					if err != nil {
						return err
					}
					rates[i], costs[i] = append(rates[i], r.perSecond), append(costs[i], r.cpu)
				}
			}
			for i, e := range servers {
				fmt.Fprintf(table, "%s\t%d\t%s\t%.0f\t%.2f\t%.0f\t%.2f\n", op.name, atOnce, e.name,
					median(rates[i]), median(rates[i])/median(rates[0]), median(costs[i]), median(costs[0])/median(costs[i]))
			}
		}
	}
	return nil
}

// fill creates the table with its items, which also warms the server.
func fill(ctx context.Context, e *endpoint) error {
	const create = `{"TableName":"Bench","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"device","AttributeType":"S"},{"AttributeName":"ts","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"device","KeyType":"HASH"},{"AttributeName":"ts","KeyType":"RANGE"}]}`
	if _, err := e.call(ctx, "dynamodb", "POST", "/", dynamodb+"CreateTable", []byte(create)); err != nil {
		return err
	}
	_, err := measureRate(ctx, e, operations()[0], 32, devices*perDevice)
	return err
}

// measureRate sends requests, some at once.
func measureRate(ctx context.Context, e *endpoint, op operation, atOnce, requests int) (r rate, err error) {
	before, err := process.CPUTime(e.pid)
	if err != nil {
		return r, err
	}
	var next atomic.Int64
	var senders sync.WaitGroup
	failures := make([]error, atOnce)
	start := time.Now()
	for i := range atOnce {
		senders.Go(func() {
			for failures[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= requests {
					return
				}
				_, failures[i] = e.call(ctx, "dynamodb", "POST", "/", dynamodb+op.target, op.body(n))
			}
		})
	}
	senders.Wait()
	took := time.Since(start)
	after, err := process.CPUTime(e.pid)
	r = rate{float64(requests) / took.Seconds(), float64((after - before).Microseconds()) / float64(requests)}
	return r, errors.Join(err, errors.Join(failures...))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
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

// measureTables compares the operations with 1 and with 32 requests at once.
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
	fmt.Fprintln(table, "operation\tat once\tserver\treq/s\tratio")
	for _, op := range operations() {
		for _, atOnce := range []int{1, 32} {
			rates := make([][]float64, len(servers))
			for range s.rounds {
				for i, e := range servers {
					rate, err := measureRate(ctx, e, op, atOnce, s.requests)
					if err != nil {
						return err
					}
					rates[i] = append(rates[i], rate)
				}
			}
			for i, e := range servers {
				fmt.Fprintf(table, "%s\t%d\t%s\t%.0f\t%.2f\n", op.name, atOnce, e.name, median(rates[i]), median(rates[i])/median(rates[0]))
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

// measureRate sends requests, some at once, and returns how many a second were
// answered.
func measureRate(ctx context.Context, e *endpoint, op operation, atOnce, requests int) (float64, error) {
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
	return float64(requests) / time.Since(start).Seconds(), errors.Join(failures...)
}

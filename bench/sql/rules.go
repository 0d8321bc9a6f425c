package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/rule"
)

// traffic is an engine of rules with distinct filters, and a message to topics.
type traffic struct {
	engine  *rule.Engine
	message iot.Message
	topics  []string
	next    int
	effects []iot.Effect
}

// work evaluates the next message, which one rule matches and republishes.
func (t *traffic) work() error {
	t.message.Topic = t.topics[t.next]
	if t.next++; t.next == len(t.topics) {
		t.next = 0
	}
	if t.effects = t.engine.Evaluate(t.effects[:0], &t.message); len(t.effects) != 1 {
		return fmt.Errorf("%d effects", len(t.effects))
	}
	return nil
}

// measureRules measures a message among n rules: of one topic, and of a topic of
// each rule in turn, so that the processor's caches cannot hold all of them.
func measureRules(w io.Writer, s settings) error {
	counts := []int{10, 100, 1000, 10000}
	var same, each []*traffic
	for _, n := range counts {
		t, err := newTraffic(n)
		if err != nil {
			return err
		}
		each = append(each, t)
		same = append(same, &traffic{engine: t.engine, message: t.message, topics: t.topics[:1]})
	}
	work := func(t *traffic) func() error { return t.work }
	one, all := measure(s, same, work), measure(s, each, work)
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(table, "| rules\t| the same topic, µs (allocations)\t| ÷ 10 rules\t| every rule's topic in turn, µs (allocations)\t| ÷ 10 rules\t|\n")
	fmt.Fprintf(table, "|---\t|---\t|---\t|---\t|---\t|\n")
	for i, n := range counts {
		fmt.Fprintf(table, "| %d\t| **%s**\t| %.2f\t| %s\t| %.2f\t|\n", n, one[i], one[i].micros/one[0].micros, all[i], all[i].micros/all[0].micros)
	}
	return table.Flush()
}

func newTraffic(n int) (*traffic, error) {
	account := iot.Account{Region: "us-east-1", ID: "123456789012"}
	e, err := rule.New(rule.Config{Account: account, Store: discard{}})
	if err != nil {
		return nil, err
	}
	t := &traffic{engine: e, message: iot.Message{Payload: []byte(reading)}}
	for i := range n {
		err := e.Create(iot.Rule{
			Name: fmt.Sprintf("rule%d", i), SQLVersion: "2016-03-23",
			SQL:     fmt.Sprintf("SELECT * FROM 'site/%d/+/data' WHERE temperature > 30", i),
			Actions: []iot.Action{{Kind: "republish", Config: json.RawMessage(`{"topic":"alert","roleArn":"arn:aws:iam::123456789012:role/r"}`)}},
		})
		if err != nil {
			return nil, err
		}
		t.topics = append(t.topics, fmt.Sprintf("site/%d/line/data", i))
	}
	return t, nil
}

// discard is a store that keeps nothing.
type discard struct{}

func (discard) PutRule(iot.Rule) error        { return nil }
func (discard) Rule(string) (iot.Rule, error) { return iot.Rule{}, iot.ErrNotFound }
func (discard) Rules() ([]iot.Rule, error)    { return nil, nil }
func (discard) DeleteRule(string) error       { return nil }

package rule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// TestEffectsAreTheirOwnMessages has everything that an engine does at once: what is
// recorded, published and shown of a message is of no other, although evaluations are
// used again.
func TestEffectsAreTheirOwnMessages(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	e.cfg.Call = func(context.Context, string, iot.Origin, iotsql.Call) (json.RawMessage, error) {
		return json.RawMessage(`1`), nil
	}
	var checked sync.Map
	check := func(topic string, effects []iot.Effect) {
		n := topic[strings.LastIndexByte(topic, '/')+1:]
		for _, effect := range effects {
			text := fmt.Sprintf("%+v", effect)
			switch effect := effect.(type) {
			case *iot.Enqueue:
				text = string(effect.Body)
			case *iot.Republish:
				text = string(effect.Message.Payload) + effect.Message.Topic
			case *iot.DeadLetter:
				text = string(effect.Body) + effect.Topic
			}
			if !strings.Contains(text, n) || !strings.Contains(text, `in/`+n) && !strings.Contains(text, "out/"+n) {
				t.Errorf("of %s: %s", topic, text)
			}
			checked.Store(fmt.Sprintf("%T", effect), true)
		}
	}
	e.cfg.Apply = func(_ context.Context, effects ...iot.Effect) error {
		for _, effect := range effects {
			if again, ok := effect.(*iot.Republish); ok {
				check(again.Message.Topic, effects)
			}
		}
		return nil
	}
	lambda := account.ARN("lambda", "function:F")
	queue := anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`)
	failed := republishTo("out/${topic(2)}")
	rules := []iot.Rule{
		{Name: "A", SQL: "SELECT n, topic(2) AS t FROM 'in/+' WHERE n >= 0", Actions: []iot.Action{queue, republishTo("out/${topic(2)}")}},
		{Name: "B", SQL: "SELECT * FROM 'in/#'", Actions: []iot.Action{anAction("sqs", `{"queueUrl":"http://q/1/${nothing}.fifo",`+role+`}`)}, ErrorAction: &failed},
		{Name: "C", SQL: "SELECT n, aws_lambda('" + lambda + "', n) AS one FROM 'in/+'", SQLVersion: "2016-03-23", Actions: []iot.Action{republishTo("out/${n}")}},
	}
	for _, r := range rules {
		if err := e.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var others, senders sync.WaitGroup
	others.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			r := rules[n%len(rules)]
			r.Disabled = n%5 == 0
			if err := e.Replace(r); err != nil {
				t.Error(err)
			}
			extra := iot.Rule{Name: "Extra", SQL: "SELECT * FROM 'in/+'"}
			if err := errors.Join(e.Create(extra), e.Delete("Extra")); err != nil {
				t.Error(err)
			}
			e.Statuses()
		}
	})
	for n := range 4 {
		others.Go(func() {
			for ctx.Err() == nil {
				few, enough := context.WithTimeout(ctx, time.Millisecond)
				err := e.Trace(few, iot.TraceFilter{Rule: []string{"", "A", "C", "Extra"}[n]}, func(line iot.TraceLine) error {
					if m := line.Message; m != nil && !strings.Contains(string(m.Payload.Bytes), strings.TrimPrefix(m.Topic, "in/")) {
						t.Errorf("trace of %s has %s", m.Topic, m.Payload.Bytes)
					}
					return nil
				})
				enough()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for s := range 4 {
		senders.Go(func() {
			for i := range 500 {
				m := message(fmt.Sprintf("in/%d", 1_000_000*(s+1)+i), fmt.Sprintf(`{"n":%d}`, 1_000_000*(s+1)+i))
				effects := e.Evaluate(nil, m)
				check(m.Topic, effects)
				for _, effect := range effects {
					switch effect := effect.(type) {
					case *iot.Enqueue:
						entry := iot.OutboxEntry{Lane: iot.LaneOf(effect.Action, effect.Key), Body: effect.Body}
						if strings.HasPrefix(effect.Action, "rule/") {
							if err := e.Perform(ctx, entry); err != nil {
								t.Error(err)
							}
							continue
						}
						e.Attempted(entry, iot.ActionDead, 1, 0, errors.New("x"))
						letter, onError := e.Bury(entry, 1, errors.New("x"))
						check(letter.Topic, onError)
					case *iot.DeadLetter:
						if _, err := e.Again(*effect); err == nil {
							t.Error("a FIFO queue was taken")
						}
					}
				}
			}
		})
	}
	senders.Wait()
	stop()
	others.Wait()
	for _, kind := range []string{"*iot.Enqueue", "*iot.Republish", "*iot.DeadLetter"} {
		if _, ok := checked.Load(kind); !ok {
			t.Errorf("no %s was checked", kind)
		}
	}
}

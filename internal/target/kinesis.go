package target

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// putRecord performs an [iot.PutRecord].
//
// Entries of one partition key come one after the other, and Kinesis promises
// rising sequence numbers for them only if each record names the number of the
// one before (SequenceNumberForOrdering of PutRecord). After a start there is none,
// and records keep the order in which they arrive.
func (t *Targets) putRecord(ctx context.Context, e iot.OutboxEntry) error {
	task, request, err := parse[iot.PutRecord](e)
	switch {
	case err != nil:
		return err
	case request.Stream == "":
		return missing(task, "a stream's name")
	case request.PartitionKey == "":
		return missing(task, "a partition key, which Kinesis demands")
	}
	of := subject{Kinesis, "Kinesis stream " + excerpt(request.Stream), t.at(Kinesis)}
	key := orderKey{request.Stream, request.PartitionKey}
	before := t.order.last(key)
	err = t.put(ctx, of, request, before)
	if before != "" && apiCode(err) == "InvalidArgumentException" {
		// A number of a stream that was made anew means nothing to this one.
		t.order.forget(key)
		err = t.put(ctx, of, request, "")
	}
	return err
}

func (t *Targets) put(ctx context.Context, of subject, request *iot.PutRecord, before string) error {
	client := clientOf(t.clients, of, func(c aws.Config) *kinesis.Client { return kinesis.NewFromConfig(c) })
	in := &kinesis.PutRecordInput{StreamName: &request.Stream, PartitionKey: &request.PartitionKey, Data: request.Data}
	if in.Data == nil {
		in.Data = []byte{} // which is a record, unlike none
	}
	if before != "" {
		in.SequenceNumberForOrdering = &before
	}
	return t.call(ctx, of, func(ctx context.Context) error {
		out, err := client.PutRecord(ctx, in)
		if err != nil {
			return err
		}
		number := aws.ToString(out.SequenceNumber)
		if number == "" {
			return errors.New("it answered without the record's sequence number")
		}
		t.order.note(orderKey{request.Stream, request.PartitionKey}, number)
		return nil
	})
}

// maxOrder is of how many partition keys the last sequence number is kept.
const maxOrder = 10_000

type orderKey struct{ stream, partition string }

// order knows the sequence number of the last record of partition keys. When it is
// full it forgets them all: then records keep the order in which they arrive.
type order struct {
	mu      sync.Mutex
	numbers map[orderKey]string
}

func newOrder() *order { return &order{numbers: make(map[orderKey]string)} }

func (o *order) last(key orderKey) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.numbers[key]
}

func (o *order) note(key orderKey, number string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.numbers[key]; !known && len(o.numbers) >= maxOrder {
		clear(o.numbers)
	}
	o.numbers[key] = number
}

func (o *order) forget(key orderKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.numbers, key)
}

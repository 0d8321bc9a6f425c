package rule

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// kinesisAction puts the rule's output into a stream, in order per partition key.
type kinesisAction struct {
	external
	stream    *iotsql.Template
	partition *iotsql.Template // nil when the action names no key: the sender is it
}

// maxPartitionKey is how many characters Kinesis allows in a partition key.
const maxPartitionKey = 256

func compileKinesis(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		StreamName   string `json:"streamName"`
		PartitionKey string `json:"partitionKey"`
		RoleARN      string `json:"roleArn"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	stream, err := b.needed("streamName", c.StreamName)
	if err != nil {
		return nil, err
	}
	var partition *iotsql.Template
	if c.PartitionKey != "" {
		if partition, err = b.template("partitionKey", c.PartitionKey); err != nil {
			return nil, err
		}
	}
	if err := checkRole(c.RoleARN); err != nil {
		return nil, err
	}
	return &kinesisAction{b.external(iot.KinesisOutbox, "KinesisAction", c.StreamName), stream, partition}, nil
}

func (a *kinesisAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	stream, err := r.expand("streamName", a.stream)
	if err != nil {
		return dst, err
	}
	key := r.sender()
	if a.partition != nil {
		if key, err = r.expand("partitionKey", a.partition); err != nil {
			return dst, err
		}
	}
	if n := utf8.RuneCountInString(key); n > maxPartitionKey {
		return dst, fmt.Errorf("partitionKey: the template gives %d characters, Kinesis takes at most %d: %w", n, maxPartitionKey, iot.ErrInvalid)
	}
	return a.record(dst, r, key, iot.PutRecord{Stream: stream, PartitionKey: key, Data: r.output})
}

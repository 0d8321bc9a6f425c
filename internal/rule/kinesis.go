package rule

import (
	"encoding/json"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// kinesisAction puts the rule's output into a stream, in order per partition key.
type kinesisAction struct {
	external
	stream, partition *iotsql.Template
}

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
	partition, err := b.needed("partitionKey", c.PartitionKey)
	if err != nil {
		return nil, err
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
	key, err := r.expand("partitionKey", a.partition)
	if err != nil {
		return dst, err
	}
	return a.record(dst, r, key, iot.PutRecord{Stream: stream, PartitionKey: key, Data: r.output})
}

package telemetry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Source is what stands between a topic rule and ProcessIoTData: the eventSource
// of a batch, or nothing.
type Source string

// The sources.
const (
	Direct  Source = ""
	SQS     Source = "aws:sqs"
	Kinesis Source = "aws:kinesis"
)

// Record is one message that ProcessIoTData is handed.
type Record struct {
	// ID is the SQS message id, the Kinesis sequence number or the request id: the
	// same when the message is handed in again.
	ID string
	// Seq numbers the message as [Sequence] does, from the time at which the
	// source took it in.
	Seq     uint64
	Arrived time.Time
	Event   []byte // a rule's event; nil when the source handed in something else
}

// Batch is what one invocation hands ProcessIoTData.
type Batch struct {
	Source  Source
	Records []Record // in the order of their arrival
}

// Call is one invocation of a function.
type Call struct {
	RequestID string    // the same when AWS retries an asynchronous invocation
	Began     time.Time // when the message began its way, the same at a retry; zero when unknown
	Now       time.Time
}

// ParseBatch reads an event of ProcessIoTData: a batch of SQS (whose bodies are
// rules' events) or of Kinesis (whose data are), or else a rule's event as it
// stands. The error wraps [iot.ErrInvalid] for a batch that names no source of
// its records, so that nobody could be told which of them failed.
func ParseBatch(event []byte, call Call) (Batch, error) {
	var head struct {
		Records []json.RawMessage `json:"Records"`
	}
	if json.Unmarshal(event, &head) != nil || len(head.Records) == 0 {
		return directBatch(event, call), nil
	}
	source := sourceOf(head.Records[0])
	if source == Direct { // a device may have a member Records of its own
		return directBatch(event, call), nil
	}
	batch := Batch{Source: source, Records: make([]Record, 0, len(head.Records))}
	for i, raw := range head.Records {
		record, err := parseRecord(source, raw, call)
		if err != nil {
			return Batch{}, fmt.Errorf("record %d of the batch: %w", i, err)
		}
		batch.Records = append(batch.Records, record)
	}
	return batch, nil
}

func directBatch(event []byte, call Call) Batch {
	return Batch{Records: []Record{{
		ID: call.RequestID, Seq: Sequence(call.Began, call.RequestID), Arrived: call.Now, Event: event,
	}}}
}

func sourceOf(raw json.RawMessage) Source {
	var record struct {
		EventSource Source `json:"eventSource"`
	}
	if json.Unmarshal(raw, &record) == nil && (record.EventSource == SQS || record.EventSource == Kinesis) {
		return record.EventSource
	}
	return Direct
}

func parseRecord(source Source, raw json.RawMessage, call Call) (Record, error) {
	if got := sourceOf(raw); got != source {
		return Record{}, fmt.Errorf("eventSource is not %q: %w", source, iot.ErrInvalid)
	}
	parse := parseSQS
	if source == Kinesis {
		parse = parseKinesis
	}
	record, at := parse(raw)
	if record.ID == "" {
		return Record{}, fmt.Errorf("it has no id: %w", iot.ErrInvalid)
	}
	record.Seq, record.Arrived = Sequence(at, record.ID), at
	if at.IsZero() {
		record.Arrived = call.Now
	}
	return record, nil
}

// parseSQS reads a record of an SQS batch, and when it was sent.
func parseSQS(raw json.RawMessage) (Record, time.Time) {
	var m struct {
		MessageID  string  `json:"messageId"`
		Body       *string `json:"body"`
		Attributes struct {
			Sent string `json:"SentTimestamp"` // milliseconds
		} `json:"attributes"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return Record{ID: m.MessageID}, time.Time{}
	}
	record := Record{ID: m.MessageID}
	if m.Body != nil {
		record.Event = []byte(*m.Body)
	}
	ms, err := strconv.ParseInt(m.Attributes.Sent, 10, 64)
	if err != nil || !plausible(ms) {
		return record, time.Time{}
	}
	return record, time.UnixMilli(ms)
}

// parseKinesis reads a record of a Kinesis batch, and when it was put.
func parseKinesis(raw json.RawMessage) (Record, time.Time) {
	var m struct {
		Kinesis struct {
			SequenceNumber string          `json:"sequenceNumber"`
			Data           json.RawMessage `json:"data"`
			Arrival        float64         `json:"approximateArrivalTimestamp"` // seconds
		} `json:"kinesis"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return Record{ID: m.Kinesis.SequenceNumber}, time.Time{}
	}
	record := Record{ID: m.Kinesis.SequenceNumber}
	if json.Unmarshal(m.Kinesis.Data, &record.Event) != nil { // base64
		record.Event = nil
	}
	ms := m.Kinesis.Arrival * 1000
	if math.Abs(ms) > maxMilliseconds || !plausible(int64(math.Round(ms))) {
		return record, time.Time{}
	}
	return record, time.UnixMilli(int64(math.Round(ms)))
}

// sequenceTies is how many bits of a seq tell apart what arrived in the same
// millisecond.
const sequenceTies = 22

// maxMilliseconds is the latest time that a seq can hold, in the year 2109.
const maxMilliseconds = 1<<(64-sequenceTies) - 1

func plausible(ms int64) bool { return ms > 0 && ms <= maxMilliseconds }

// Sequence numbers a message where no store does: by the millisecond at which it
// arrived and, within that, by its id. It is the same whenever the same message
// is handed in. A message of unknown arrival is numbered by its id alone, below
// all others.
func Sequence(arrived time.Time, id string) uint64 {
	digest := sha256.Sum256([]byte(id))
	tie := binary.BigEndian.Uint64(digest[:]) >> (64 - sequenceTies)
	if arrived.IsZero() || !plausible(arrived.UnixMilli()) {
		return tie
	}
	return uint64(arrived.UnixMilli())<<sequenceTies | tie
}

package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/apigw"
	"github.com/fieldline-iot/fieldline/internal/dynamo"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// processor is ProcessIoTData.
type processor struct {
	*Function
	push *apigw.Client // nil when there is no WebSocket API
}

// ProcessIoTData returns the function that stores readings and pushes them to the
// WebSocket clients. It takes a rule's event, an SQS batch or a Kinesis batch, and
// of a batch reports the records to hand in again.
func ProcessIoTData(ctx context.Context) (*Function, error) {
	f, err := newFunction(ctx)
	if err != nil {
		return nil, err
	}
	push, err := f.connectionsOf(f.settings.apiID, f.settings.stage)
	if err != nil {
		return nil, err
	}
	p := &processor{f, push}
	f.serve = p.process
	return f, nil
}

// work is a record on its way.
type work struct {
	record  telemetry.Record
	reading iot.Reading
	err     error // why it is not stored; wraps iot.ErrInvalid when that is final
}

func (p *processor) process(ctx context.Context, in *invocation, event []byte) ([]byte, error) {
	batch, err := telemetry.ParseBatch(event, in.call)
	if err != nil {
		return nil, err
	}
	records := make([]work, len(batch.Records))
	for i, r := range batch.Records {
		records[i].record = r
		records[i].reading, records[i].err = readingOf(r)
	}
	outcomes := p.store(ctx, records)
	stored := time.Since(in.call.Now)
	report := p.broadcast(ctx, in, framesOf(records))
	failed, refused := p.sift(in, records)
	p.emit(in,
		count("ReadingsStored", outcomes[dynamo.Stored]+outcomes[dynamo.Stale]), count("ReadingsStale", outcomes[dynamo.Stale]),
		count("ReadingsDuplicate", outcomes[dynamo.Duplicate]), count("ReadingsFailed", int64(len(failed))), count("ReadingsRefused", int64(refused)),
		count("Posts", report.Posts), count("PostsThrottled", report.Throttled), count("PostsFailed", report.Failures), count("ConnectionsGone", report.Gone),
		metric{"StoreLatency", "Milliseconds", float64(stored.Microseconds()) / 1000},
		metric{"Latency", "Milliseconds", float64(time.Since(in.call.Now).Microseconds()) / 1000},
	)
	return answer(batch.Source, records, failed)
}

// store writes the readings of the records that have one, notes what failed, and
// counts the outcomes.
func (p *processor) store(ctx context.Context, records []work) map[dynamo.Outcome]int64 {
	var readings []iot.Reading
	var owner []int // of each reading
	for i := range records {
		if records[i].err == nil {
			readings, owner = append(readings, records[i].reading), append(owner, i)
		}
	}
	outcomes := make(map[dynamo.Outcome]int64)
	for i, result := range p.tables.Store(ctx, readings) {
		records[owner[i]].err = result.Err
		outcomes[result.Outcome]++
	}
	return outcomes
}

// framesOf are the readings to push: what is stored, a message that SQS handed in
// twice only once.
func framesOf(records []work) []apigw.Frame {
	frames := make([]apigw.Frame, 0, len(records))
	seen := make(map[string]bool, len(records))
	for _, w := range records {
		if w.err == nil && !seen[w.record.ID] {
			seen[w.record.ID] = true
			frames = append(frames, apigw.Frame{DeviceID: w.reading.DeviceID, Text: w.reading.Payload})
		}
	}
	return frames
}

// readingOf is the reading of a record, numbered.
func readingOf(r telemetry.Record) (iot.Reading, error) {
	effects, err := telemetry.Process(nil, r.Event, iot.Origin{Arrived: r.Arrived})
	if err != nil {
		return iot.Reading{}, err
	}
	for _, effect := range effects {
		if put, ok := effect.(*iot.PutReading); ok {
			put.Reading.Seq = r.Seq
			return put.Reading, nil
		}
	}
	return iot.Reading{}, fmt.Errorf("the event gives no reading: %w", iot.ErrInvalid)
}

// broadcast pushes what is stored. That it fails is logged and never fails the
// invocation: handing the readings in again would not mend it.
func (p *processor) broadcast(ctx context.Context, in *invocation, frames []apigw.Frame) apigw.Report {
	if p.push == nil {
		return apigw.Report{}
	}
	report := p.push.Broadcast(ctx, p.tables, frames)
	if report.Err != nil {
		in.log.Warn("broadcast is incomplete", "err", report.Err, "connections", report.Connections, "posts", report.Posts, "failures", report.Failures)
	}
	return report
}

// maxLoggedEvent bounds what of a refused record is logged, in bytes.
const maxLoggedEvent = 8 << 10

// sift returns the indexes of the records to hand in again. A record that can
// never be stored is not among them, so that it does not hold up the others: the
// log keeps it, with the reason.
func (p *processor) sift(in *invocation, records []work) (failed []int, refused int) {
	for i, w := range records {
		switch {
		case w.err == nil:
		case errors.Is(w.err, iot.ErrInvalid), errors.Is(w.err, iot.ErrDenied):
			refused++
			event := w.record.Event[:min(len(w.record.Event), maxLoggedEvent)]
			in.log.Error("reading refused", "err", w.err, "record", w.record.ID, "bytes", len(w.record.Event), "event", string(event))
		default:
			failed = append(failed, i)
			in.log.Warn("reading failed", "err", w.err, "record", w.record.ID)
		}
	}
	return failed, refused
}

// batchItemFailure names a record to hand in again.
type batchItemFailure struct {
	ItemIdentifier string `json:"itemIdentifier"`
}

// answer reports the failed records in the manner of the source. Kinesis hands in
// again everything from the first of them on.
func answer(source telemetry.Source, records []work, failed []int) ([]byte, error) {
	if source == telemetry.Direct {
		if len(failed) > 0 {
			return nil, records[failed[0]].err
		}
		if records[0].err != nil {
			return telemetry.Refused(records[0].err).JSON(), nil
		}
		return []byte(telemetry.Processed), nil
	}
	failures := make([]batchItemFailure, 0, len(failed))
	for _, i := range failed {
		failures = append(failures, batchItemFailure{records[i].record.ID})
		if source == telemetry.Kinesis {
			break
		}
	}
	return json.Marshal(struct {
		BatchItemFailures []batchItemFailure `json:"batchItemFailures"`
	}{failures})
}

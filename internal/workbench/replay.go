package workbench

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// defaultReplay is how many readings a replay evaluates when it does not say.
const defaultReplay = 100_000

// pageSize is how many readings, or devices, are in memory at once.
const pageSize = 100

// replay is one under way.
type replay struct {
	*Workbench
	iot.ReplayQuery
	statement   *iotsql.Statement
	rule, topic string // that the messages have
	each        func(iot.MessageTrace) error
	summary     iot.TrialSummary
}

// Replay evaluates a statement on stored readings, device by device and in each
// from the oldest on, as messages that the device would have sent. It calls each
// with those on which the statement fired or failed; an error of each ends it, and
// so does ctx. The summary says how far it came. Errors are as those of
// [Workbench.Try], before the first reading.
func (w *Workbench) Replay(ctx context.Context, q iot.ReplayQuery, each func(iot.MessageTrace) error) (iot.TrialSummary, error) {
	r := &replay{Workbench: w, ReplayQuery: q, each: each}
	if err := r.prepare(); err != nil {
		return iot.TrialSummary{}, err
	}
	end, err := begin(ctx, w.busy)
	if err != nil {
		return iot.TrialSummary{}, err
	}
	defer end()
	if q.Device != "" {
		_, err = r.device(ctx, q.Device)
	} else {
		err = r.devices(ctx)
	}
	return r.summary, err
}

// prepare judges what is asked for.
func (r *replay) prepare() (err error) {
	if r.statement, err = parse(r.Trial); err != nil {
		return err
	}
	switch {
	case r.cfg.Readings == nil:
		return fmt.Errorf("there is no history to replay: %w", iot.ErrUnsupported)
	case r.Limit < 0:
		return fmt.Errorf("limit %d: a number of readings: %w", r.Limit, iot.ErrInvalid)
	case r.To != 0 && r.To <= r.From:
		return fmt.Errorf("the end %d is not behind the beginning %d: %w", r.To, r.From, iot.ErrInvalid)
	}
	r.Limit = cmp.Or(r.Limit, defaultReplay)
	return r.address()
}

// address chooses the topic of the messages.
func (r *replay) address() error {
	filter := r.statement.Filter()
	name := r.ReplayQuery.Topic
	if name == "" {
		if filter == "" || strings.ContainsAny(filter, "+#") {
			return fmt.Errorf("stored readings keep no topic, and the statement's FROM names none: say under which to evaluate them (topic, on the command line --topic): %w", iot.ErrInvalid)
		}
		name = filter
	}
	if err := topic.ValidName(name); err != nil {
		return fmt.Errorf("topic %q: %w: %w", name, err, iot.ErrInvalid)
	}
	r.rule, r.topic = iot.BasicIngest(name)
	if why := mismatch(filter, &iot.Message{Topic: r.topic, Rule: r.rule}); why != "" {
		return fmt.Errorf("%s: %w", why, iot.ErrInvalid)
	}
	return nil
}

// devices replays every device.
func (r *replay) devices(ctx context.Context) error {
	for after := ""; ; {
		page, err := r.cfg.Readings.LatestPage(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("devices: %w", err)
		}
		for i := range page {
			if more, err := r.device(ctx, page[i].DeviceID); err != nil || !more {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].DeviceID
	}
}

// device replays one device, and reports whether the limit lets others follow.
func (r *replay) device(ctx context.Context, id string) (more bool, err error) {
	q := iot.HistoryQuery{DeviceID: id, From: r.From, To: r.To, Limit: pageSize}
	for {
		page, err := r.cfg.Readings.History(ctx, q)
		if err != nil {
			return false, fmt.Errorf("history of %q: %w", id, err)
		}
		for i := range page {
			if r.summary.Evaluated == r.Limit {
				r.summary.More = true
				return false, nil
			}
			if err := r.reading(ctx, &page[i]); err != nil {
				return false, err
			}
		}
		if len(page) < pageSize {
			return true, nil
		}
		last := &page[len(page)-1]
		q.After = &iot.HistoryPos{Time: last.Time, Seq: last.Seq}
	}
}

// reading evaluates the statement on one reading.
func (r *replay) reading(ctx context.Context, stored *iot.Reading) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &iot.Message{
		Topic: r.topic, Rule: r.rule, Payload: stored.Payload,
		Origin: iot.Origin{
			ClientID: stored.DeviceID, Device: stored.DeviceID, Protocol: iot.ProtocolMQTT, Arrived: time.UnixMilli(stored.Time),
		},
	}
	id := sync.OnceValue(uuid.NewString)
	rule := r.try(r.statement, r.SQL, m, id)
	r.summary.Evaluated++
	switch {
	case rule.Error != "":
		r.summary.Failed++
	case rule.Fired:
		r.summary.Fired++
	default:
		return nil
	}
	return r.each(traceOf(m, id(), rule))
}

package dynamo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	maxBatch  = 25 // items of one BatchWriteItem
	parallel  = 16 // requests at once of one Store
	firstWait = 50 * time.Millisecond
	maxWait   = 5 * time.Second
)

// Result is what became of one reading.
type Result struct {
	Outcome Outcome
	Err     error // when Outcome is Failed
}

// Store writes readings to the history and, of each device, the newest to its
// latest: one write per device, however many readings it sent. Results stand in
// the order of the readings. Storing the same readings again changes nothing but
// what is missing. The error of a reading wraps [iot.ErrInvalid] when trying again
// cannot mend it.
func (t *Tables) Store(ctx context.Context, readings []iot.Reading) []Result {
	results := make([]Result, len(readings))
	for i := range readings {
		if n := len(readings[i].Payload); n > maxPayload {
			results[i].Err = fmt.Errorf("a payload of %d bytes, an item holds at most %d: %w", n, maxPayload, iot.ErrInvalid)
		}
	}
	if t.history != "" {
		t.putHistory(ctx, readings, results)
	}
	t.putNewest(ctx, readings, results)
	return results
}

// putNewest writes the latest reading of each device. When that fails, only the
// newest reading has: to store it again is all that is missing.
func (t *Tables) putNewest(ctx context.Context, readings []iot.Reading, results []Result) {
	byDevice := make(map[string][]int) // indexes of what may be stored
	for i := range readings {
		if results[i].Err == nil {
			results[i].Outcome = Stale
			byDevice[readings[i].DeviceID] = append(byDevice[readings[i].DeviceID], i)
		}
	}
	var work errgroup.Group
	work.SetLimit(parallel)
	for _, of := range byDevice {
		work.Go(func() error {
			newest := of[0]
			for _, i := range of[1:] {
				if readings[i].Newer(&readings[newest]) {
					newest = i
				}
			}
			outcome, err := t.putLatest(ctx, &readings[newest])
			results[newest] = Result{outcome, err}
			return nil
		})
	}
	_ = work.Wait() // results hold the errors
}

// row is an item to write and the readings that fail with it.
type row struct {
	item  item
	owner []int
	day   string // of the list of days that it belongs to; "" for a reading
}

// putHistory writes the readings that have no error yet, and the days that they
// are the first of, and notes errors.
func (t *Tables) putHistory(ctx context.Context, readings []iot.Reading, results []Result) {
	rows := t.historyRows(readings, results)
	errs := make([]error, len(rows))
	var work errgroup.Group
	work.SetLimit(parallel)
	for start := 0; start < len(rows); start += maxBatch {
		end := min(start+maxBatch, len(rows))
		work.Go(func() error {
			err := t.writeBatch(ctx, rows[start:end])
			for i := start; i < end; i++ {
				errs[i] = err
			}
			return nil
		})
	}
	_ = work.Wait() // errs has the errors
	for i, r := range rows {
		if errs[i] == nil {
			t.knowDay(r.day)
			continue
		}
		for _, owner := range r.owner {
			results[owner].Err = errs[i]
		}
	}
}

// historyRows are the items to write: no two of the same key, as DynamoDB demands
// of a batch.
func (t *Tables) historyRows(readings []iot.Reading, results []Result) []row {
	var rows []row
	byKey := make(map[string]int)
	add := func(key, day string, owner int, make func() item) {
		if i, ok := byKey[key]; ok {
			rows[i].owner = append(rows[i].owner, owner)
			return
		}
		byKey[key] = len(rows)
		rows = append(rows, row{make(), []int{owner}, day})
	}
	for i := range readings {
		if results[i].Err != nil {
			continue
		}
		r := &readings[i]
		day := dayKey(r.DeviceID, dayOf(r.Time))
		if !t.knowsDay(day) {
			add(day, day, i, func() item { return t.dayItem(r) })
		}
		add(day+"/"+rowKey(iot.HistoryPos{Time: r.Time, Seq: r.Seq}), "", i, func() item { return t.historyItem(r) })
	}
	return rows
}

// writeBatch writes at most 25 items, those that DynamoDB leaves over again until
// the context ends.
func (t *Tables) writeBatch(ctx context.Context, rows []row) error {
	requests := make([]types.WriteRequest, len(rows))
	for i, r := range rows {
		requests[i].PutRequest = &types.PutRequest{Item: r.item}
	}
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		out, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{t.history: requests},
		})
		if err != nil {
			return failed("write history", t.history, err)
		}
		if requests = slices.Clone(out.UnprocessedItems[t.history]); len(requests) == 0 {
			return nil
		}
		if err := sleep(ctx, wait/2+rand.N(wait/2)); err != nil {
			return fmt.Errorf("write history in table %q: %d items are left over: %w: %w", t.history, len(requests), iot.ErrOverloaded, err)
		}
	}
}

func (t *Tables) knowsDay(day string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.days[day]
	return ok
}

func (t *Tables) knowDay(day string) {
	if day == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.days) >= maxKnownDays {
		clear(t.days)
	}
	t.days[day] = struct{}{}
}

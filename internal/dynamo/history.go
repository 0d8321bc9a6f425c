package dynamo

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// dayLayout is a day of UTC in a key.
const dayLayout = "20060102"

func dayOf(ms int64) string { return time.UnixMilli(ms).UTC().Format(dayLayout) }

func dayKey(device, day string) string { return device + "#" + day }

// daysKey is where the list of a device's days is. No day has that name.
func daysKey(device string) string { return device + "#days" }

// rowKey sorts as (Time, Seq) does.
func rowKey(p iot.HistoryPos) string { return fmt.Sprintf("%015d#%020d", p.Time, p.Seq) }

func parseRowKey(key string) (p iot.HistoryPos, err error) {
	at, seq, _ := strings.Cut(key, "#")
	if p.Time, err = strconv.ParseInt(at, 10, 64); err == nil {
		p.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil {
		return p, fmt.Errorf("the sort key %q is not of the history", key)
	}
	return p, nil
}

// historyItem is a reading as an item of the history.
func (t *Tables) historyItem(r *iot.Reading) item {
	it := item{
		"device_day": text(dayKey(r.DeviceID, dayOf(r.Time))),
		"time_seq":   text(rowKey(iot.HistoryPos{Time: r.Time, Seq: r.Seq})),
	}
	addExact(it, r)
	if t.keep > 0 {
		it["expires_at"] = integer(time.UnixMilli(r.Time).Add(t.keep).Unix())
	}
	return it
}

// dayItem is an entry of the list of a device's days, the same for each reading of
// the day. It lives as long as the last of them may.
func (t *Tables) dayItem(r *iot.Reading) item {
	it := item{"device_day": text(daysKey(r.DeviceID)), "time_seq": text(dayOf(r.Time))}
	if t.keep > 0 {
		it["expires_at"] = integer(time.UnixMilli(r.Time).Truncate(24 * time.Hour).Add(t.keep + 24*time.Hour).Unix())
	}
	return it
}

// bounds are the first and the last position of a query, both included.
type bounds struct{ first, last iot.HistoryPos }

func boundsOf(q iot.HistoryQuery) bounds {
	b := bounds{iot.HistoryPos{Time: q.From}, iot.HistoryPos{Time: maxTime, Seq: math.MaxUint64}}
	if q.To > 0 {
		b.last = iot.HistoryPos{Time: q.To - 1, Seq: math.MaxUint64}
	}
	switch {
	case q.After == nil:
	case q.Desc:
		if before := predecessor(*q.After); less(before, b.last) {
			b.last = before
		}
	default:
		if behind := successor(*q.After); less(b.first, behind) {
			b.first = behind
		}
	}
	b.first.Time = min(max(b.first.Time, 0), maxTime)
	b.last.Time = min(b.last.Time, maxTime)
	return b
}

// maxTime is the last millisecond of the year 9999, the last day that a key can hold.
const maxTime = 253_402_300_799_999

func less(a, b iot.HistoryPos) bool { return a.Time < b.Time || a.Time == b.Time && a.Seq < b.Seq }

func predecessor(p iot.HistoryPos) iot.HistoryPos {
	if p.Seq == 0 {
		return iot.HistoryPos{Time: p.Time - 1, Seq: math.MaxUint64}
	}
	return iot.HistoryPos{Time: p.Time, Seq: p.Seq - 1}
}

func successor(p iot.HistoryPos) iot.HistoryPos {
	if p.Seq == math.MaxUint64 {
		return iot.HistoryPos{Time: p.Time + 1}
	}
	return iot.HistoryPos{Time: p.Time, Seq: p.Seq + 1}
}

// History returns readings of one device in the order of (Time, Seq), at most
// q.Limit of them; an unknown device has none, and no device has any when no
// history is kept.
func (t *Tables) History(ctx context.Context, q iot.HistoryQuery) ([]iot.Reading, error) {
	b := boundsOf(q)
	if t.history == "" || len(q.DeviceID) > maxKey || less(b.last, b.first) || b.last.Time < 0 {
		return nil, nil
	}
	days := &dynamodb.QueryInput{ExpressionAttributeValues: item{
		":key": text(daysKey(q.DeviceID)), ":first": text(dayOf(b.first.Time)), ":last": text(dayOf(b.last.Time)),
	}}
	var page []iot.Reading
	err := t.query(ctx, days, q.Desc, 0, func(it item) (bool, error) {
		rows, err := t.historyOfDay(ctx, q, b, stringIn(it, "time_seq"), q.Limit-len(page))
		page = append(page, rows...)
		return err == nil && len(page) < q.Limit, err
	})
	if err != nil {
		return nil, fmt.Errorf("history of device %q: %w", q.DeviceID, err)
	}
	return page, nil
}

func (t *Tables) historyOfDay(ctx context.Context, q iot.HistoryQuery, b bounds, day string, limit int) (page []iot.Reading, err error) {
	rows := &dynamodb.QueryInput{ExpressionAttributeValues: item{
		":key": text(dayKey(q.DeviceID, day)), ":first": text(rowKey(b.first)), ":last": text(rowKey(b.last)),
	}}
	err = t.query(ctx, rows, q.Desc, limit, func(it item) (bool, error) {
		pos, err := parseRowKey(stringIn(it, "time_seq"))
		if err != nil {
			return false, err
		}
		r := iot.Reading{DeviceID: q.DeviceID, Time: pos.Time, Seq: pos.Seq}
		readExact(it, &r)
		page = append(page, r)
		return len(page) < limit, nil
	})
	return page, err
}

// query visits the items of one partition between two sort keys, page after page,
// until visit returns false. limit is how many will be wanted, 0 when unknown.
func (t *Tables) query(ctx context.Context, in *dynamodb.QueryInput, desc bool, limit int, visit func(item) (bool, error)) error {
	in.TableName = &t.history
	in.KeyConditionExpression = aws.String("device_day = :key AND time_seq BETWEEN :first AND :last")
	in.FilterExpression = aws.String(unexpired)
	in.ExpressionAttributeValues[":now"] = integer(t.now().Unix())
	in.ScanIndexForward = aws.Bool(!desc)
	in.ConsistentRead = aws.Bool(true)
	if limit > 0 {
		in.Limit = aws.Int32(int32(min(limit, maxScanLimit)))
	}
	for {
		out, err := t.client.Query(ctx, in)
		if err != nil {
			return failed("query", t.history, err)
		}
		for _, it := range out.Items {
			if more, err := visit(it); err != nil || !more {
				return err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return nil
		}
	}
}

package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// newest is the condition under which a reading becomes the latest: there is no
// item, or an older one, or one of the guide's own functions.
const newest = "attribute_not_exists(#time) OR #time < :time OR (#time = :time AND #seq < :seq)"

// putLatest writes the latest reading of a device unless a newer one is there.
func (t *Tables) putLatest(ctx context.Context, r *iot.Reading) (Outcome, error) {
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &t.latest,
		Item:                                latestItem(r),
		ConditionExpression:                 aws.String(newest),
		ExpressionAttributeNames:            map[string]string{"#time": "time", "#seq": "seq"},
		ExpressionAttributeValues:           item{":time": integer(r.Time), ":seq": unsigned(r.Seq)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if seq, ok := numberIn(refused.Item, "seq"); ok && seq == r.Seq {
			return Duplicate, nil
		}
		return Stale, nil
	}
	if err != nil {
		return Failed, failed(fmt.Sprintf("put the latest reading of %q", r.DeviceID), t.latest, err)
	}
	return Stored, nil
}

// Latest returns the newest reading of a device, or an error wrapping
// [iot.ErrNotFound].
func (t *Tables) Latest(ctx context.Context, device string) (iot.Reading, error) {
	if device == "" || len(device) > maxKey {
		return iot.Reading{}, fmt.Errorf("device of %d bytes: %w", len(device), iot.ErrNotFound)
	}
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.latest, Key: item{"device_id": text(device)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return iot.Reading{}, failed(fmt.Sprintf("get the latest reading of %q", device), t.latest, err)
	}
	if out.Item == nil {
		return iot.Reading{}, fmt.Errorf("device %q: %w", device, iot.ErrNotFound)
	}
	return readLatest(out.Item)
}

// LatestPage returns the newest reading of at most limit devices behind a device,
// in the order in which DynamoDB scans them.
func (t *Tables) LatestPage(ctx context.Context, after string, limit int) ([]iot.Reading, error) {
	var page []iot.Reading
	in := &dynamodb.ScanInput{
		TableName:                &t.latest,
		ProjectionExpression:     aws.String("device_id, ts, #raw, raw_ts, payload, #time, #seq"),
		ExpressionAttributeNames: map[string]string{"#raw": "raw", "#time": "time", "#seq": "seq"},
	}
	if len(after) > maxKey {
		return nil, fmt.Errorf("a page behind an id of %d bytes, it has at most %d: %w", len(after), maxKey, iot.ErrInvalid)
	}
	if after != "" {
		in.ExclusiveStartKey = item{"device_id": text(after)}
	}
	for len(page) < limit {
		in.Limit = aws.Int32(int32(min(limit-len(page), maxScanLimit)))
		out, err := t.client.Scan(ctx, in)
		if err != nil {
			return nil, failed("scan the latest readings", t.latest, err)
		}
		for _, it := range out.Items {
			r, err := readLatest(it)
			if err != nil {
				return nil, fmt.Errorf("table %q: %w", t.latest, err)
			}
			page = append(page, r)
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			break
		}
	}
	return page, nil
}

// maxKey bounds a device id here, in bytes: with a day it is a partition key, which
// has at most 2,048.
const maxKey = 2000

// maxScanLimit bounds the items of one request.
const maxScanLimit = 1000

// Outcome is what became of a reading's claim to be its device's latest.
type Outcome int

// The outcomes.
const (
	Failed    Outcome = iota // see the error
	Stored                   // it is the latest
	Stale                    // a newer one is
	Duplicate                // it was already
)

package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Readings is where readings are kept: the table IoTDeviceData and the history.
type Readings interface {
	// Latest returns the newest reading of a device, or an error wrapping
	// [iot.ErrNotFound].
	Latest(ctx context.Context, device string) (iot.Reading, error)
	// LatestPage returns the newest reading of at most limit devices that come
	// after a device id. The order is the table's own, the same for every page:
	// that of the ids in the store, an arbitrary one in DynamoDB.
	LatestPage(ctx context.Context, after string, limit int) ([]iot.Reading, error)
	// History returns readings of one device.
	History(ctx context.Context, q iot.HistoryQuery) ([]iot.Reading, error)
}

// Response is an answer of FetchIoTData: a JSON document, and where the next page
// begins.
type Response struct {
	Body   []byte
	Cursor string // of the next page; "" on the last one
}

// Fetch is FetchIoTData: the latest item of a device ({} when it has none), the
// latest items of many, or a page of a device's history. Payloads and numbers
// stand in the answer byte for byte as they are stored.
func Fetch(ctx context.Context, r Readings, q Query) (Response, error) {
	switch {
	case q.DeviceID == "":
		return fetchLatestPage(ctx, r, q)
	case q.History:
		return fetchHistory(ctx, r, q)
	}
	latest, err := r.Latest(ctx, q.DeviceID)
	if errors.Is(err, iot.ErrNotFound) {
		return Response{Body: []byte("{}")}, nil
	}
	if err != nil {
		return Response{}, fmt.Errorf("latest reading of %q: %w", q.DeviceID, err)
	}
	return Response{Body: appendLatest(nil, &latest)}, nil
}

func fetchLatestPage(ctx context.Context, r Readings, q Query) (Response, error) {
	page, err := r.LatestPage(ctx, q.after, q.Limit+1)
	if err != nil {
		return Response{}, fmt.Errorf("latest readings: %w", err)
	}
	var res Response
	if len(page) > q.Limit {
		page = page[:q.Limit]
		res.Cursor = encodeCursor(cursor{Device: page[q.Limit-1].DeviceID})
	}
	res.Body = append(res.Body, '[')
	for i := range page {
		if i > 0 {
			res.Body = append(res.Body, ',')
		}
		res.Body = appendLatest(res.Body, &page[i])
	}
	res.Body = append(res.Body, ']')
	return res, nil
}

func fetchHistory(ctx context.Context, r Readings, q Query) (Response, error) {
	h := iot.HistoryQuery{DeviceID: q.DeviceID, From: q.From, To: q.To, Limit: q.Limit + 1, Desc: q.Desc, After: q.position}
	page, err := r.History(ctx, h)
	if err != nil {
		return Response{}, fmt.Errorf("history of %q: %w", q.DeviceID, err)
	}
	var res Response
	if len(page) > q.Limit {
		page = page[:q.Limit]
		last := &page[q.Limit-1]
		res.Cursor = encodeCursor(cursor{Position: &iot.HistoryPos{Time: last.Time, Seq: last.Seq}})
	}
	res.Body = append(res.Body, `{"items":[`...)
	for i := range page {
		if i > 0 {
			res.Body = append(res.Body, ',')
		}
		res.Body = appendHistory(res.Body, &page[i])
	}
	res.Body = append(res.Body, ']')
	if res.Cursor != "" {
		res.Body = append(res.Body, `,"cursor":"`+res.Cursor+`"`...)
	}
	res.Body = append(res.Body, '}')
	return res, nil
}

// appendLatest writes an item of IoTDeviceData.
func appendLatest(dst []byte, r *iot.Reading) []byte {
	dst = appendID(append(dst, `{"device_id":`...), r.DeviceID)
	dst = append(append(dst, `,"ts":`...), r.TS...)
	dst = append(append(dst, `,"payload":`...), r.Payload...)
	return append(dst, '}')
}

// appendHistory writes an item of the history.
func appendHistory(dst []byte, r *iot.Reading) []byte {
	dst = appendID(append(dst, `{"device_id":`...), r.DeviceID)
	dst = append(append(dst, `,"ts":`...), r.TS...)
	dst = strconv.AppendInt(append(dst, `,"time":`...), r.Time, 10)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), r.Seq, 10)
	dst = append(append(dst, `,"payload":`...), r.Payload...)
	return append(dst, '}')
}

func appendID(dst []byte, id string) []byte {
	text, _ := json.Marshal(id) // a string always marshals
	return append(dst, text...)
}

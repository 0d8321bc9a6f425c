package dynamo

import (
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxPayload bounds a payload, in bytes: as a document and as raw bytes together
// it is then within an item's 400 KB, whatever it holds. AWS IoT's own bound is
// 128 KB.
const maxPayload = 160_000

// latestItem is a reading as an item of IoTDeviceData.
func latestItem(r *iot.Reading) item {
	it := item{
		"device_id": text(r.DeviceID),
		"payload":   documentOf(r.Payload),
		"time":      integer(r.Time),
		"seq":       unsigned(r.Seq),
	}
	addExact(it, r)
	return it
}

// addExact adds what gives a reading back byte for byte.
func addExact(it item, r *iot.Reading) {
	it["raw"] = rawValue(r.Payload)
	it["ts"] = documentOf([]byte(r.TS))
	if string(appendJSON(nil, it["ts"])) != r.TS || !isPlainInteger(r.TS) {
		it["raw_ts"] = text(r.TS)
	}
}

// isPlainInteger reports whether DynamoDB gives a number back digit for digit: it
// normalises all others.
func isPlainInteger(number string) bool {
	n, err := strconv.ParseInt(number, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == number
}

// readLatest reads an item of IoTDeviceData, also one that the guide's own
// functions wrote: it has neither raw nor time nor seq.
func readLatest(it item) (iot.Reading, error) {
	r := iot.Reading{DeviceID: stringIn(it, "device_id")}
	if r.DeviceID == "" {
		return r, errors.New("an item has no device_id")
	}
	at, _ := numberIn(it, "time")
	r.Time = int64(at)
	r.Seq, _ = numberIn(it, "seq")
	readExact(it, &r)
	return r, nil
}

func readExact(it item, r *iot.Reading) {
	if r.TS = stringIn(it, "raw_ts"); r.TS == "" {
		r.TS = string(appendJSON(nil, it["ts"]))
	}
	switch raw := it["raw"].(type) {
	case *types.AttributeValueMemberS:
		r.Payload = []byte(raw.Value)
	case *types.AttributeValueMemberB:
		r.Payload = raw.Value
	default:
		r.Payload = appendJSON(nil, it["payload"])
	}
}

package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The first byte of a key names its table. DESIGN.md draws the whole layout.
const (
	tableBody          byte = 'B' // number → message that several sessions share
	tableBucketDevices byte = 'b' // bucket, device → nothing: who has rows in a bucket
	tableDeviceBuckets byte = 'd' // device, bucket → nothing: where a device has rows
	tableDeadLetter    byte = 'D' // id → dead letter
	tableHistory       byte = 'h' // bucket, device, time, seq → row
	tableQueue         byte = 'q' // session, number → how it gets a message; and what marks it as released
	tableReceived      byte = 'R' // session, packet id → nothing
	tableRetained      byte = 't' // topic → message
	tableRetransmit    byte = 'i' // hour, sender, slot → packet id, digest
	tableLatest        byte = 'l' // device → time, seq, row
	tableMeta          byte = 'm' // name → counters
	tableOutbox        byte = 'o' // action, shard, id → entry
	tableOutboxCursor  byte = 'O' // action, shard → last id that was done
	tableRegistry      byte = 'r' // kind, names → JSON
	tableSeqIndex      byte = 's' // first seq of a batch → device and time of each reading
	tableSession       byte = 'S' // session → its record
	tableSubscription  byte = 'u' // session, filter → how it is subscribed
	tableSection       byte = 'x' // section, key of its engine → value of its engine
)

// errKey reports a key or value that this package cannot have written.
var errKey = errors.New("store: malformed record")

// appendText appends b so that the result sorts as b does, whatever bytes b
// holds and whatever follows: a zero byte becomes 00 FF, and 00 01 ends it.
func appendText[T string | []byte](dst []byte, b T) []byte {
	for i := range len(b) {
		dst = append(dst, b[i])
		if b[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// cutText undoes appendText and returns what follows.
func cutText(key []byte) (text string, rest []byte, err error) {
	var out []byte
	for i := 0; i+1 < len(key); i++ {
		if key[i] != 0 {
			out = append(out, key[i])
			continue
		}
		switch key[i+1] {
		case 1:
			return string(out), key[i+2:], nil
		case 0xff:
			out = append(out, 0)
			i++
		default:
			return "", nil, errKey
		}
	}
	return "", nil, errKey
}

// appendInt64 appends n so that negative numbers sort before positive ones.
func appendInt64(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^(1<<63))
}

func cutInt64(key []byte) (int64, []byte, error) {
	if len(key) < 8 {
		return 0, nil, errKey
	}
	return int64(binary.BigEndian.Uint64(key) ^ (1 << 63)), key[8:], nil
}

func cutUint64(key []byte) (uint64, []byte, error) {
	if len(key) < 8 {
		return 0, nil, errKey
	}
	return binary.BigEndian.Uint64(key), key[8:], nil
}

// after returns the smallest key greater than every key that starts with
// prefix; nil when there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// appendBytes appends b with its length in front, for values.
func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// cutBytes undoes appendBytes; the result aliases value.
func cutBytes(value []byte) (b, rest []byte, err error) {
	n, size := binary.Uvarint(value)
	if size <= 0 || n > uint64(len(value)-size) {
		return nil, nil, errKey
	}
	return value[size : size+int(n)], value[size+int(n):], nil
}

// latestKey is the key of a device's latest reading. Nothing follows the device,
// so it needs no escaping and keys sort as device ids do.
func latestKey(dst []byte, device string) []byte {
	return append(append(dst, tableLatest), device...)
}

// appendLatest encodes the value of a latest record.
func appendLatest(dst []byte, r *iot.Reading) []byte {
	dst = appendInt64(dst, r.Time)
	dst = binary.BigEndian.AppendUint64(dst, r.Seq)
	return appendRow(dst, r)
}

func decodeLatest(device string, value []byte) (iot.Reading, error) {
	r := iot.Reading{DeviceID: device}
	var err error
	if r.Time, value, err = cutInt64(value); err != nil {
		return r, err
	}
	if r.Seq, value, err = cutUint64(value); err != nil {
		return r, err
	}
	return r, decodeRow(&r, value)
}

// appendRow encodes what a history row holds beside its key.
func appendRow(dst []byte, r *iot.Reading) []byte {
	return append(appendBytes(dst, r.TS), r.Payload...)
}

func decodeRow(r *iot.Reading, value []byte) error {
	ts, payload, err := cutBytes(value)
	if err != nil {
		return fmt.Errorf("reading %d of device %q: %w", r.Seq, r.DeviceID, err)
	}
	r.TS, r.Payload = string(ts), append([]byte(nil), payload...)
	return nil
}

package logs

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The kinds of record, the first byte of a key.
const (
	kindGroup  = 'g'
	kindStream = 's'
	kindEvent  = 'e'
	kindOf     = 'i' // an event's place in its stream
	kindNumber = 'n'
)

func groupKey(group string) []byte { return append([]byte{kindGroup}, group...) }

// within begins the keys of one kind in a group. No group name holds a zero.
func within(kind byte, group string) []byte {
	return append(append([]byte{kind}, group...), 0)
}

func streamKey(group, stream string) []byte { return append(within(kindStream, group), stream...) }

func eventKey(group string, p iot.LogPosition) []byte {
	return appendPosition(within(kindEvent, group), p)
}

// inStream begins the keys of one stream's index.
func inStream(group, stream string) []byte {
	key := binary.BigEndian.AppendUint16(within(kindOf, group), uint16(len(stream)))
	return append(key, stream...)
}

func streamEventKey(group, stream string, p iot.LogPosition) []byte {
	return appendPosition(inStream(group, stream), p)
}

func numberKey(group string, n uint64) []byte {
	return binary.BigEndian.AppendUint64(within(kindNumber, group), n)
}

func appendPosition(key []byte, p iot.LogPosition) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(p.At))
	return binary.BigEndian.AppendUint64(key, p.N)
}

// positionOf reads the position at the end of an event's or an index's key.
func positionOf(key []byte) (iot.LogPosition, error) {
	if len(key) < 16 {
		return iot.LogPosition{}, fmt.Errorf("log record with a key of %d bytes", len(key))
	}
	tail := key[len(key)-16:]
	return iot.LogPosition{At: int64(binary.BigEndian.Uint64(tail)), N: binary.BigEndian.Uint64(tail[8:])}, nil
}

// allWith is every key that begins with prefix, which does not end in 0xff.
func allWith(prefix []byte) iot.KeyRange {
	to := append([]byte(nil), prefix...)
	to[len(to)-1]++
	return iot.KeyRange{From: prefix, To: to}
}

package tables

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The keys of the section. Numbers are big-endian, N is a table's number, X an
// index's, 0 for the table's own rows; hash is a checksum of the partition key, so
// that equal parts of its range are the segments of a parallel scan.
//
//	d name                            the definition of a table, JSON
//	s N4                              its statistics
//	t N4 X4 hash4 partition sort      an item: its size, then its attributes
//	t N4 X4 hash4 partition sort key  an index's entry; key is that of the item
//	k token                           the use of a client request token
//
// partition, sort and key are written by [ddb.AppendKey]: they sort as the values
// do and none is the beginning of another.
const (
	kindDefinition = 'd'
	kindStats      = 's'
	kindRow        = 't'
	kindToken      = 'k'
)

func definitionKey(name string) []byte { return append([]byte{kindDefinition}, name...) }

func tokenKey(token string) []byte { return append([]byte{kindToken}, token...) }

func statsKey(table uint32) []byte { return binary.BigEndian.AppendUint32([]byte{kindStats}, table) }

// tableRows are all rows of a table, those of its indexes included.
func tableRows(table uint32) iot.KeyRange {
	return iot.KeyRange{
		From: binary.BigEndian.AppendUint32([]byte{kindRow}, table),
		To:   binary.BigEndian.AppendUint32([]byte{kindRow}, table+1),
	}
}

// indexPrefix begins the rows of an index; 0 is the table itself.
func indexPrefix(table, index uint32) []byte {
	b := make([]byte, 0, 64) // room for the rest of a usual key
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(append(b, kindRow), table), index)
}

func indexRows(table, index uint32) iot.KeyRange {
	return iot.KeyRange{From: indexPrefix(table, index), To: indexPrefix(table, index+1)}
}

// segmentRows are the rows of one segment of a parallel scan.
func segmentRows(table, index uint32, segment, total int) iot.KeyRange {
	rows := indexRows(table, index)
	bound := func(segment int) []byte {
		return binary.BigEndian.AppendUint32(indexPrefix(table, index), uint32((uint64(segment)<<32)/uint64(total)))
	}
	if segment > 0 {
		rows.From = bound(segment)
	}
	if segment < total-1 {
		rows.To = bound(segment + 1)
	}
	return rows
}

// partitionPrefix begins the rows of one partition key.
func partitionPrefix(table, index uint32, partition ddb.Value) ([]byte, error) {
	const header = 1 + 4 + 4
	row, err := ddb.AppendKey(append(indexPrefix(table, index), 0, 0, 0, 0), partition)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(row[header:], crc32.ChecksumIEEE(row[header+4:]))
	return row, nil
}

// row is the key of an item's row; of item only the key's attributes are read,
// which have been checked.
func (t *table) row(item ddb.Item) ([]byte, error) {
	row, err := partitionPrefix(t.Number, 0, item[t.key.Hash])
	if err == nil && t.key.Range != "" {
		row, err = ddb.AppendKey(row, item[t.key.Range])
	}
	return row, err
}

// entry is the key of an item's entry in an index, nil when the item lacks an
// attribute of the index's key.
func (t *table) entry(x *index, item ddb.Item) ([]byte, error) {
	hash, ok := item[x.key.Hash]
	if !ok {
		return nil, nil
	}
	row, err := partitionPrefix(t.Number, x.number, hash)
	for _, name := range []string{x.key.Range, t.key.Hash, t.key.Range} {
		if name == "" || err != nil {
			continue
		}
		v, ok := item[name]
		if !ok {
			return nil, nil
		}
		row, err = ddb.AppendKey(row, v)
	}
	return row, err
}

// encodeRow is the value of an item's row.
func encodeRow(item ddb.Item, size int) []byte {
	return ddb.AppendItem(binary.AppendUvarint(make([]byte, 0, size+size/8+32), uint64(size)), item)
}

// storedSize is the size of a stored item as DynamoDB counts it; 0 for nil.
func storedSize(value []byte) int {
	size, _ := binary.Uvarint(value)
	return int(size)
}

// decodeRow returns the item of a row's value; nil for nil.
func decodeRow(value []byte) (ddb.Item, error) {
	if value == nil {
		return nil, nil
	}
	_, n := binary.Uvarint(value)
	if n <= 0 {
		return nil, fmt.Errorf("a stored item is damaged: its size is missing")
	}
	item, err := ddb.DecodeItem(value[n:])
	if err != nil {
		return nil, fmt.Errorf("a stored item is damaged: %v", err) // nothing the client sent
	}
	return item, nil
}

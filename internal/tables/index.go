package tables

import (
	"bytes"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// project returns what an index holds of an item.
func (x *index) project(t *table, item ddb.Item) ddb.Item {
	if x.projection.ProjectionType == ddb.ProjectAll {
		return item
	}
	held := ddb.Item{}
	for name, v := range item {
		if x.projects(t, name) {
			held[name] = v
		}
	}
	return held
}

// entryOf returns an item's row in an index, with its size; a nil key when the
// item, which may be nil, is not in it.
func (t *table) entryOf(x *index, item ddb.Item) (key, value []byte, size int, err error) {
	key, err = t.entry(x, item)
	if key == nil || err != nil {
		return nil, nil, 0, err
	}
	held := x.project(t, item)
	size = held.Size()
	return key, encodeRow(held, size), size, nil
}

// indexWrites appends what an index changes when an item becomes another, and adds
// what that consumes: a unit or more for each entry deleted, added or changed.
func (t *table) indexWrites(writes []iot.Write, x *index, old, item ddb.Item, used *usage) ([]iot.Write, error) {
	oldKey, oldValue, oldSize, err := t.entryOf(x, old)
	if err != nil {
		return nil, err
	}
	key, value, size, err := t.entryOf(x, item)
	if err != nil {
		return nil, err
	}
	same := bytes.Equal(oldKey, key)
	if oldKey != nil && !same {
		writes = append(writes, iot.Write{Key: oldKey, Delete: true})
		used.addIndex(x, writeUnits(oldSize))
	}
	if key != nil && !(same && bytes.Equal(oldValue, value)) {
		writes = append(writes, iot.Write{Key: key, Value: value})
		if same {
			size = max(size, oldSize)
		}
		used.addIndex(x, writeUnits(size))
	}
	return writes, nil
}

// The entries of a new index that are written at once, and their bytes.
const (
	fillBatch = 1000
	fillBytes = 4 << 20
)

// fill writes the entries of a new index for every item of its table, whose
// stripes are held. What an attempt that was cut short has left goes first.
func (e *Engine) fill(t *table, name string) error {
	x, err := t.index(name)
	if err != nil {
		return err
	}
	rows := indexRows(t.Number, x.number)
	batch, size := []iot.Write{{Key: rows.From, To: rows.To, Delete: true}}, 0
	flush := func() error {
		err := e.cfg.Records.Apply(batch, false)
		batch, size = nil, 0
		return err
	}
	err = e.cfg.Records.Scan(indexRows(t.Number, 0), func(_, value []byte) (bool, error) {
		item, err := decodeRow(value)
		if err != nil {
			return false, err
		}
		if t.checkIndexed(item) != nil {
			return true, nil // an item whose attribute is of another type is not in the index
		}
		key, held, _, err := t.entryOf(x, item)
		if key != nil {
			batch, size = append(batch, iot.Write{Key: key, Value: held}), size+len(held)
		}
		if err == nil && (len(batch) >= fillBatch || size >= fillBytes) {
			err = flush()
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	return flush()
}

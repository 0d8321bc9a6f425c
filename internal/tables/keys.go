package tables

import (
	"github.com/fieldline-iot/fieldline/internal/ddb"
)

// The limits of keys and items, in bytes.
const (
	maxHashSize  = 2048
	maxRangeSize = 1024
	maxItemSize  = 400 << 10
)

// checkPut checks the key attributes of an item that is to be stored, those of the
// indexes included.
func (t *table) checkPut(item ddb.Item) error {
	for _, name := range t.key.names() {
		v, ok := item[name]
		if !ok {
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", name)
		}
		if err := t.key.checkValue(name, v); err != nil {
			return err
		}
	}
	return t.checkIndexed(item)
}

// checkIndexed checks the attributes of an item that index keys consist of.
func (t *table) checkIndexed(item ddb.Item) error {
	for _, x := range t.indexes {
		for _, name := range x.key.names() {
			v, ok := item[name]
			if !ok {
				continue
			}
			want := x.key.typeOf(name)
			switch {
			case v.Kind().String() != want:
				return invalid("One or more parameter values were invalid: Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, want, v.Kind(), x.name)
			case v.Len() == 0 && want != "N":
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", emptyName(want), x.name, name)
			}
			if err := x.key.checkSize(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkKey checks a key that a request names: exactly the table's key attributes.
func (t *table) checkKey(key ddb.Item) error {
	names := t.key.names()
	if len(key) != len(names) {
		return invalid("The provided key element does not match the schema")
	}
	for _, name := range names {
		v, ok := key[name]
		if !ok || v.Kind().String() != t.key.typeOf(name) {
			return invalid("The provided key element does not match the schema")
		}
		if err := t.key.checkValue(name, v); err != nil {
			return err
		}
	}
	return nil
}

func (k *keySchema) typeOf(name string) string {
	if name == k.Hash {
		return k.hashType
	}
	return k.rangeType
}

// checkValue checks the value of one attribute of the key.
func (k *keySchema) checkValue(name string, v ddb.Value) error {
	want := k.typeOf(name)
	switch {
	case v.Kind().String() != want:
		return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", name, want, v.Kind())
	case v.Len() == 0 && want != "N":
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", emptyName(want), name)
	}
	return k.checkSize(name, v)
}

func (k *keySchema) checkSize(name string, v ddb.Value) error {
	switch {
	case name == k.Hash && v.Len() > maxHashSize:
		return invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of%d bytes", maxHashSize)
	case name == k.Range && v.Len() > maxRangeSize:
		return invalid("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of %d bytes", maxRangeSize)
	}
	return nil
}

func emptyName(kind string) string {
	if kind == "B" {
		return "binary"
	}
	return "string"
}

// keyFrom are the attributes of an item that its table's key and, of an index's
// entry, the index's key consist of.
func (t *table) keyFrom(item ddb.Item, x *index) ddb.Item {
	key := ddb.Item{}
	for _, name := range t.key.names() {
		key[name] = item[name]
	}
	if x != nil {
		for _, name := range x.key.names() {
			key[name] = item[name]
		}
	}
	return key
}

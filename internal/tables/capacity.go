package tables

import (
	"maps"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/ddb"
)

// The bytes that one unit of capacity reads or writes.
const (
	readUnit  = 4 << 10
	writeUnit = 1 << 10
)

// readUnits is what reading so many bytes consumes.
func readUnits(size int, consistent bool) float64 {
	units := float64(max(1, (size+readUnit-1)/readUnit))
	if consistent {
		return units
	}
	return units / 2
}

// writeUnits is what writing so many bytes consumes.
func writeUnits(size int) float64 {
	return float64(max(1, (size+writeUnit-1)/writeUnit))
}

// usage is the capacity that a request has used on one table and its indexes.
type usage struct {
	table   *table
	own     float64
	indexes map[*index]float64
}

func (u *usage) addIndex(x *index, units float64) {
	if u.indexes == nil {
		u.indexes = map[*index]float64{}
	}
	u.indexes[x] += units
}

func (u *usage) add(other *usage) {
	u.own += other.own
	for x, units := range other.indexes {
		u.addIndex(x, units)
	}
}

// report is the usage as the request wants to know it; nil when it does not.
func (u *usage) report(mode string) *ddb.ConsumedCapacity {
	if mode == "" || mode == ddb.CapacityNone {
		return nil
	}
	out := &ddb.ConsumedCapacity{TableName: u.table.name(), CapacityUnits: u.own}
	for _, units := range u.indexes {
		out.CapacityUnits += units
	}
	if mode != ddb.CapacityIndexes {
		return out
	}
	out.Table = &ddb.Capacity{CapacityUnits: u.own}
	for x, units := range u.indexes {
		of := &out.LocalSecondaryIndexes
		if x.global {
			of = &out.GlobalSecondaryIndexes
		}
		if *of == nil {
			*of = map[string]ddb.Capacity{}
		}
		(*of)[x.name] = ddb.Capacity{CapacityUnits: units}
	}
	return out
}

// usages are those of the tables of one request, by name.
type usages map[string]*usage

// of returns the usage of a table.
func (us usages) of(t *table) *usage {
	u := us[t.name()]
	if u == nil {
		u = &usage{table: t}
		us[t.name()] = u
	}
	return u
}

// report is the usage of each table, in the order of their names.
func (us usages) report(mode string) []ddb.ConsumedCapacity {
	if mode == "" || mode == ddb.CapacityNone {
		return nil
	}
	var out []ddb.ConsumedCapacity
	for _, name := range slices.Sorted(maps.Keys(us)) {
		out = append(out, *us[name].report(mode))
	}
	return out
}

// Transactions read and write twice: to prepare, and to commit.
const transactionFactor = 2

// times multiplies all that was used.
func (us usages) times(factor float64) usages {
	for _, u := range us {
		u.own *= factor
		for x := range u.indexes {
			u.indexes[x] *= factor
		}
	}
	return us
}

// reportWrites and reportReads are report for a transaction, which says beside the
// sum of which kind it is.
func (us usages) reportWrites(mode string) []ddb.ConsumedCapacity {
	out := us.report(mode)
	for i := range out {
		out[i].WriteCapacityUnits = out[i].CapacityUnits
		markCapacity(&out[i], func(c *ddb.Capacity) { c.WriteCapacityUnits = c.CapacityUnits })
	}
	return out
}

func (us usages) reportReads(mode string) []ddb.ConsumedCapacity {
	out := us.report(mode)
	for i := range out {
		out[i].ReadCapacityUnits = out[i].CapacityUnits
		markCapacity(&out[i], func(c *ddb.Capacity) { c.ReadCapacityUnits = c.CapacityUnits })
	}
	return out
}

func markCapacity(of *ddb.ConsumedCapacity, mark func(*ddb.Capacity)) {
	if of.Table != nil {
		mark(of.Table)
	}
	for _, indexes := range []map[string]ddb.Capacity{of.LocalSecondaryIndexes, of.GlobalSecondaryIndexes} {
		for name, c := range indexes {
			mark(&c)
			indexes[name] = c
		}
	}
}

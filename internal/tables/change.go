package tables

import (
	"errors"
	"maps"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// operation is what a change does to its item.
type operation int

const (
	put operation = iota
	update
	remove
	check // only a condition
)

// change is one write of one item, from its request to the rows that it becomes.
type change struct {
	op        operation
	in        *ddb.Write
	condition *ddb.Condition // nil for none
	update    *ddb.Update    // nil for none
	keepOld   bool           // the caller wants old

	// Set by bind.
	table *table
	row   []byte
	size  int // of the item afterwards

	// Set by decide.
	stored []byte   // the row's value before; nil when there was no item
	old    ddb.Item // the item before, when anything needs it
	item   ddb.Item // the item afterwards; nil when there is none
}

// newChange parses a write's expressions.
func newChange(op operation, in *ddb.Write) (*change, error) {
	c := &change{op: op, in: in}
	if in.ConditionExpression == nil && in.UpdateExpression == nil && in.ExpressionAttributeNames == nil && in.ExpressionAttributeValues == nil {
		return c, nil
	}
	scope, err := ddb.NewScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if op == update && in.UpdateExpression != nil {
		if c.update, err = scope.Update(*in.UpdateExpression); err != nil {
			return nil, err
		}
	}
	if in.ConditionExpression != nil {
		if c.condition, err = scope.Condition(*in.ConditionExpression); err != nil {
			return nil, err
		}
	}
	return c, scope.Unused()
}

// bind checks the change against a table and finds its row.
func (c *change) bind(t *table) (err error) {
	if v := t.shown(); v != nil {
		return invalid("Table %s shows a live view and is not written to: %s", t.name(), v.Refusal)
	}
	c.table = t
	if c.op == put {
		if err := t.checkPut(c.in.Item); err != nil {
			return err
		}
		if c.size = c.in.Item.Size(); c.size > maxItemSize {
			return invalid("Item size has exceeded the maximum allowed size")
		}
		c.row, err = t.row(c.in.Item)
		return err
	}
	if err := t.checkKey(c.in.Key); err != nil {
		return err
	}
	if c.update != nil {
		for _, name := range c.update.Attributes() {
			if slices.Contains(t.key.names(), name) {
				return invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
			}
		}
	}
	c.row, err = t.row(c.in.Key)
	return err
}

// decide reads the item and works out what becomes of it. A condition that does
// not hold is a [*ddb.ConditionFailedError]. The row's stripe is held.
func (c *change) decide(records Records) (err error) {
	if c.stored, err = records.Get(c.row); errors.Is(err, iot.ErrNotFound) {
		c.stored = nil
	} else if err != nil {
		return err
	}
	if c.condition != nil || c.op == update || c.keepOld || len(c.table.indexes) > 0 {
		if c.old, err = decodeRow(c.stored); err != nil {
			return err
		}
	}
	if c.condition != nil && !c.condition.Matches(c.old) {
		failed := &ddb.ConditionFailedError{}
		if c.in.ReturnValuesOnConditionCheckFailure == ddb.ReturnAllOld {
			failed.Item = c.old
		}
		return failed
	}
	switch c.op {
	case put:
		c.item = c.in.Item
	case update:
		return c.updateItem()
	}
	return nil
}

func (c *change) updateItem() (err error) {
	c.item = c.old
	if c.item == nil {
		c.item = maps.Clone(c.in.Key)
	}
	if c.update != nil {
		if c.item, err = c.update.Apply(c.item); err != nil {
			return err
		}
	}
	if err := c.table.checkIndexed(c.item); err != nil {
		return err
	}
	if c.size = c.item.Size(); c.size > maxItemSize {
		return invalid("Item size to update has exceeded the maximum allowed size")
	}
	return nil
}

// writes appends the records that the change comes to, and adds what it consumes.
func (c *change) writes(writes []iot.Write, used *usage) (_ []iot.Write, err error) {
	used.own += writeUnits(max(c.size, storedSize(c.stored)))
	switch {
	case c.op == check:
		return writes, nil
	case c.item != nil:
		writes = append(writes, iot.Write{Key: c.row, Value: encodeRow(c.item, c.size)})
	case c.stored != nil:
		writes = append(writes, iot.Write{Key: c.row, Delete: true})
	}
	for _, x := range c.table.indexes {
		if writes, err = c.table.indexWrites(writes, x, c.old, c.item, used); err != nil {
			return nil, err
		}
	}
	return writes, nil
}

// count keeps the table's statistics, once the change is made.
func (c *change) count() {
	if c.op == check {
		return
	}
	items := 0
	if c.item != nil {
		items++
	}
	if c.stored != nil {
		items--
	}
	c.table.stats.items.Add(int64(items))
	c.table.stats.bytes.Add(int64(c.size - storedSize(c.stored)))
}

// hold binds changes to the tables in force and takes the stripes of their rows,
// until release is called.
func (e *Engine) hold(changes ...*change) (release func(), err error) {
	rows := make([]rowOf, len(changes))
	for {
		tables := e.catalog()
		for i, c := range changes {
			t, err := tables.table(c.in.TableName)
			if err != nil {
				return nil, err
			}
			if err := c.bind(t); err != nil {
				return nil, err
			}
			rows[i] = rowOf{t, c.row}
		}
		set := newStripeSet(rows)
		set.lock()
		if !slices.ContainsFunc(changes, func(c *change) bool { return !e.inForce(c.table) }) {
			return set.unlock, nil
		}
		set.unlock() // a table was changed meanwhile: look again
	}
}

// commit makes decided changes as one, with more writes beside them, and reports
// what they consume.
func (e *Engine) commit(changes []*change, more ...iot.Write) (usages, error) {
	used := usages{}
	var err error
	writes := make([]iot.Write, 0, len(changes)+len(more))
	for _, c := range changes {
		if writes, err = c.writes(writes, used.of(c.table)); err != nil {
			return nil, err
		}
	}
	if writes = append(writes, more...); len(writes) > 0 {
		if err := e.cfg.Records.Apply(writes, true); err != nil {
			return nil, err
		}
	}
	for _, c := range changes {
		c.count()
	}
	return used, nil
}

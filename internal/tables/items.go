package tables

import (
	"errors"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// PutItem stores an item in place of the one with its key.
func (e *Engine) PutItem(in *ddb.PutItemInput) (ddb.WriteOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.WriteOutput{}, err
	}
	return e.write(put, &in.WriteInput)
}

// UpdateItem changes the item of a key, or makes one.
func (e *Engine) UpdateItem(in *ddb.UpdateItemInput) (ddb.WriteOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.WriteOutput{}, err
	}
	return e.write(update, &in.WriteInput)
}

// DeleteItem deletes the item of a key; it is no error when there is none.
func (e *Engine) DeleteItem(in *ddb.DeleteItemInput) (ddb.WriteOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.WriteOutput{}, err
	}
	return e.write(remove, &in.WriteInput)
}

// write makes one change. Its error is a [*ddb.ConditionFailedError] when the
// condition does not hold.
func (e *Engine) write(op operation, in *ddb.WriteInput) (ddb.WriteOutput, error) {
	c, err := newChange(op, &in.Write)
	if err != nil {
		return ddb.WriteOutput{}, err
	}
	c.keepOld = in.ReturnValues == ddb.ReturnAllOld
	release, err := e.hold(c)
	if err != nil {
		return ddb.WriteOutput{}, err
	}
	defer release()
	if err := c.decide(e.cfg.Records); err != nil {
		return ddb.WriteOutput{}, err
	}
	used, err := e.commit([]*change{c})
	if err != nil {
		return ddb.WriteOutput{}, err
	}
	return ddb.WriteOutput{Attributes: c.returned(in.ReturnValues), ConsumedCapacity: used.of(c.table).report(in.ReturnConsumedCapacity)}, nil
}

// returned are the attributes that ReturnValues asks for; nil for none.
func (c *change) returned(asked string) ddb.Item {
	var item ddb.Item
	switch asked {
	case ddb.ReturnAllOld, ddb.ReturnUpdatedOld:
		item = c.old
	case ddb.ReturnAllNew, ddb.ReturnUpdatedNew:
		item = c.item
	}
	if asked == ddb.ReturnUpdatedOld || asked == ddb.ReturnUpdatedNew {
		if c.update == nil || item == nil {
			return nil
		}
		item = c.update.Touched().Apply(item)
	}
	if len(item) == 0 {
		return nil
	}
	return item
}

// GetItem reads the item of a key; the result has none when there is none.
func (e *Engine) GetItem(in *ddb.GetItemInput) (ddb.GetItemOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.GetItemOutput{}, err
	}
	g, err := e.catalog().newGet(&in.Get)
	if err != nil {
		return ddb.GetItemOutput{}, err
	}
	item, size, err := g.read(e.cfg.Records)
	if err != nil {
		return ddb.GetItemOutput{}, err
	}
	used := usage{table: g.table, own: readUnits(size, in.ConsistentRead)}
	return ddb.GetItemOutput{Item: item, ConsumedCapacity: used.report(in.ReturnConsumedCapacity)}, nil
}

// get is one read of one item.
type get struct {
	table      *table
	key        ddb.Item
	row        []byte
	projection *ddb.Projection // nil for all
}

func (c catalog) newGet(in *ddb.Get) (*get, error) {
	projection, err := parseProjection(in.ProjectionExpression, in.ExpressionAttributeNames)
	if err != nil {
		return nil, err
	}
	t, err := c.table(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := t.checkKey(in.Key); err != nil {
		return nil, err
	}
	row, err := t.row(in.Key)
	return &get{t, in.Key, row, projection}, err
}

// parseProjection parses a projection that is the only expression of its request.
func parseProjection(expression *string, names map[string]string) (*ddb.Projection, error) {
	if expression == nil && names == nil {
		return nil, nil
	}
	scope, err := ddb.NewScope(names, nil)
	if err != nil {
		return nil, err
	}
	var projection *ddb.Projection
	if expression != nil {
		if projection, err = scope.Projection(*expression); err != nil {
			return nil, err
		}
	}
	return projection, scope.Unused()
}

// read returns the item, nil for none, and the size of the whole of it.
func (g *get) read(records Records) (item ddb.Item, size int, err error) {
	if v := g.table.shown(); v != nil {
		item, err = v.Get(g.key[v.Key].Text())
		size = item.Size()
	} else {
		var value []byte
		if value, err = records.Get(g.row); err == nil {
			size = storedSize(value)
			item, err = decodeRow(value)
		}
	}
	if errors.Is(err, iot.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if g.projection != nil {
		item = g.projection.Apply(item)
	}
	return item, size, nil
}

package tables

import (
	"maps"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/ddb"
)

// maxBatchBytes is how many bytes of items BatchGetItem reads; the other keys are
// answered as unprocessed.
const maxBatchBytes = 16 << 20

// BatchGetItem reads the items of several keys. Those that are not there are left
// out; what is answered is in no order.
func (e *Engine) BatchGetItem(in *ddb.BatchGetItemInput) (ddb.BatchGetItemOutput, error) {
	out := ddb.BatchGetItemOutput{Responses: map[string][]ddb.Item{}, UnprocessedKeys: map[string]ddb.KeysAndAttributes{}}
	if err := in.Check(); err != nil {
		return out, err
	}
	used := usages{}
	room := maxBatchBytes
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		asked := in.RequestItems[name]
		gets, err := e.catalog().batchGets(name, &asked)
		if err != nil {
			return out, err
		}
		items := []ddb.Item{}
		for i, g := range gets {
			if room <= 0 {
				asked.Keys = asked.Keys[i:]
				out.UnprocessedKeys[name] = asked
				break
			}
			item, size, err := g.read(e.cfg.Records)
			if err != nil {
				return out, err
			}
			room -= size
			used.of(g.table).own += readUnits(size, asked.ConsistentRead)
			if item != nil {
				items = append(items, item)
			}
		}
		out.Responses[name] = items
	}
	out.ConsumedCapacity = used.report(in.ReturnConsumedCapacity)
	return out, nil
}

// batchGets are the reads of one table, each of another item.
func (c catalog) batchGets(table string, asked *ddb.KeysAndAttributes) ([]*get, error) {
	seen := map[string]bool{}
	gets := make([]*get, len(asked.Keys))
	for i, key := range asked.Keys {
		g, err := c.newGet(&ddb.Get{
			TableName: table, Key: key,
			ProjectionExpression: asked.ProjectionExpression, ExpressionAttributeNames: asked.ExpressionAttributeNames,
		})
		if err != nil {
			return nil, err
		}
		if seen[string(g.row)] {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		seen[string(g.row)] = true
		gets[i] = g
	}
	return gets, nil
}

// BatchWriteItem puts and deletes several items, in one durable step.
func (e *Engine) BatchWriteItem(in *ddb.BatchWriteItemInput) (ddb.BatchWriteItemOutput, error) {
	out := ddb.BatchWriteItemOutput{UnprocessedItems: map[string][]ddb.WriteRequest{}}
	if err := in.Check(); err != nil {
		return out, err
	}
	var changes []*change
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		for _, w := range in.RequestItems[name] {
			if w.PutRequest != nil {
				changes = append(changes, &change{op: put, in: &ddb.Write{TableName: name, Item: w.PutRequest.Item}})
			} else {
				changes = append(changes, &change{op: remove, in: &ddb.Write{TableName: name, Key: w.DeleteRequest.Key}})
			}
		}
	}
	release, err := e.hold(changes...)
	if err != nil {
		return out, err
	}
	defer release()
	if repeats(changes) {
		return out, invalid("Provided list of item keys contains duplicates")
	}
	for _, c := range changes {
		if err := c.decide(e.cfg.Records); err != nil {
			return out, err
		}
	}
	used, err := e.commit(changes)
	out.ConsumedCapacity = used.report(in.ReturnConsumedCapacity)
	return out, err
}

// repeats reports whether two changes are of one item.
func repeats(changes []*change) bool {
	seen := map[string]bool{}
	for _, c := range changes {
		if seen[string(c.row)] {
			return true
		}
		seen[string(c.row)] = true
	}
	return false
}

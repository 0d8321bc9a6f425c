package tables

import (
	"bytes"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxPage is how many bytes of items one page of Query or Scan reads, before its
// filter.
const maxPage = 1 << 20

// reading is one page of a Query or Scan.
type reading struct {
	records Records
	in      *ddb.ReadInput
	table   *table
	index   *index // nil reads the table itself
	rows    iot.KeyRange

	filter     *ddb.Condition  // nil for all
	projection *ddb.Projection // nil for all
	fetch      bool            // entries of the index lack attributes that are asked for

	out     ddb.ReadOutput
	size    int   // of what was read, in bytes
	fetched usage // by reading whole items for entries of an index
	bytes   int   // of the items fetched so
}

// newReading parses what Query and Scan share; parse parses what else the request
// has, in the same scope.
func (e *Engine) newReading(in *ddb.ReadInput, parse func(*ddb.Scope) error) (*reading, error) {
	r := &reading{records: e.cfg.Records, in: in}
	scope, err := ddb.NewScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if err := parse(scope); err != nil {
		return nil, err
	}
	if in.FilterExpression != nil {
		if r.filter, err = scope.Filter(*in.FilterExpression); err != nil {
			return nil, err
		}
	}
	if in.ProjectionExpression != nil {
		if r.projection, err = scope.Projection(*in.ProjectionExpression); err != nil {
			return nil, err
		}
	}
	if err := scope.Unused(); err != nil {
		return nil, err
	}
	if r.table, err = e.catalog().table(in.TableName); err != nil {
		return nil, err
	}
	r.fetched.table = r.table
	return r, r.useIndex()
}

// useIndex finds the index that the request names, and whether it has what the
// request asks for.
func (r *reading) useIndex() (err error) {
	if r.in.IndexName == "" {
		return nil
	}
	if r.table.shown() != nil {
		return invalid("Table %s shows a live view, which has no indexes", r.table.name())
	}
	if r.index, err = r.table.index(r.in.IndexName); err != nil {
		return err
	}
	x := r.index
	if x.global && r.in.ConsistentRead {
		return invalid("Consistent reads are not supported on global secondary indexes")
	}
	if x.projection.ProjectionType == ddb.ProjectAll {
		return nil
	}
	if r.in.Select == ddb.SelectAll {
		if x.global {
			return invalid("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", x.name)
		}
		r.fetch = true
	}
	for _, name := range r.attributes() {
		if x.projects(r.table, name) {
			continue
		}
		if x.global {
			return invalid("One or more parameter values were invalid: Global secondary index %s does not project [%s]", x.name, name)
		}
		r.fetch = true
	}
	return nil
}

// attributes are those that the projection reads.
func (r *reading) attributes() []string {
	if r.projection == nil {
		return nil
	}
	return r.projection.Attributes()
}

// key is the key of what is read.
func (r *reading) key() *keySchema {
	if r.index != nil {
		return &r.index.key
	}
	return &r.table.key
}

// indexNumber is the number of what is read in the keys of rows.
func (r *reading) indexNumber() uint32 {
	if r.index != nil {
		return r.index.number
	}
	return 0
}

// startBehind begins the page behind the key where another has ended.
func (r *reading) startBehind(start ddb.Item) error {
	want := r.table.keyFrom(start, r.index)
	if len(start) != len(want) {
		return invalid("The provided starting key is invalid")
	}
	for name, v := range start {
		if v.Kind().String() != r.table.Definition.Type(name) {
			return invalid("The provided starting key is invalid: The provided key element does not match the schema")
		}
	}
	row, err := r.rowOf(start)
	if err != nil {
		return err
	}
	if bytes.Compare(row, r.rows.From) < 0 || r.rows.To != nil && bytes.Compare(row, r.rows.To) >= 0 {
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if r.rows.Desc {
		r.rows.To = row
	} else {
		r.rows.From = append(row, 0)
	}
	return nil
}

func (r *reading) rowOf(item ddb.Item) ([]byte, error) {
	if r.index != nil {
		return r.table.entry(r.index, item)
	}
	return r.table.row(item)
}

// run reads the page from the table's rows.
func (r *reading) run() (ddb.ReadOutput, error) {
	return r.runOver(func(take func(ddb.Item, int) (bool, error)) error {
		return r.records.Scan(r.rows, func(_, value []byte) (bool, error) {
			item, err := decodeRow(value)
			if err != nil {
				return false, err
			}
			return take(item, storedSize(value))
		})
	})
}

// runOver reads the page from items, which gives each item and its size to take
// until that wants no more.
func (r *reading) runOver(items func(take func(ddb.Item, int) (bool, error)) error) (ddb.ReadOutput, error) {
	if r.in.Select != ddb.SelectCount {
		r.out.Items = []ddb.Item{}
	}
	if err := items(r.take); err != nil {
		return ddb.ReadOutput{}, err
	}
	used := usage{table: r.table}
	if units := readUnits(r.size, r.in.ConsistentRead); r.index != nil {
		used.addIndex(r.index, units)
	} else {
		used.own = units
	}
	used.add(&r.fetched)
	r.out.ConsumedCapacity = used.report(r.in.ReturnConsumedCapacity)
	return r.out, nil
}

// take takes one item into the page, and reports whether it has room for more.
func (r *reading) take(item ddb.Item, size int) (more bool, err error) {
	r.out.ScannedCount++
	r.size += size
	key := item
	if r.fetch {
		if item, err = r.whole(item); err != nil {
			return false, err
		}
	}
	if r.filter == nil || r.filter.Matches(item) {
		r.out.Count++
		if r.projection != nil {
			item = r.projection.Apply(item)
		}
		if r.out.Items != nil {
			r.out.Items = append(r.out.Items, item)
		}
	}
	full := r.size+r.bytes >= maxPage || r.in.Limit != nil && r.out.ScannedCount >= *r.in.Limit
	if full {
		r.out.LastEvaluatedKey = r.table.keyFrom(key, r.index)
	}
	return !full, nil
}

// whole reads the item of an entry of an index.
func (r *reading) whole(entry ddb.Item) (ddb.Item, error) {
	row, err := r.table.row(entry)
	if err != nil {
		return nil, err
	}
	g := get{table: r.table, row: row}
	item, size, err := g.read(r.records)
	if item == nil { // deleted meanwhile
		item = entry
	}
	r.bytes += size
	r.fetched.own += readUnits(size, r.in.ConsistentRead)
	return item, err
}

// Query reads the items of one partition key, in the order of their sort keys.
func (e *Engine) Query(in *ddb.QueryInput) (ddb.ReadOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.ReadOutput{}, err
	}
	var asked *ddb.KeyCondition
	r, err := e.newReading(&in.ReadInput, func(scope *ddb.Scope) (err error) {
		asked, err = scope.KeyCondition(*in.KeyConditionExpression)
		return err
	})
	if err != nil {
		return ddb.ReadOutput{}, err
	}
	key := r.key()
	partition, term, err := asked.Split(key.Hash, key.Range)
	if err != nil {
		return ddb.ReadOutput{}, err
	}
	if err := r.checkFilter(); err != nil {
		return ddb.ReadOutput{}, err
	}
	if err := r.partition(partition, term); err != nil {
		return ddb.ReadOutput{}, err
	}
	r.rows.Desc = in.ScanIndexForward != nil && !*in.ScanIndexForward
	if in.ExclusiveStartKey != nil {
		if err := r.startBehind(in.ExclusiveStartKey); err != nil {
			return ddb.ReadOutput{}, err
		}
	}
	if v := r.table.shown(); v != nil {
		return r.show(v, partition.Text())
	}
	return r.run()
}

// checkFilter refuses a filter on what the key condition is for.
func (r *reading) checkFilter() error {
	if r.filter == nil {
		return nil
	}
	for _, name := range r.filter.Attributes() {
		if slices.Contains(r.key().names(), name) {
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
		}
	}
	return nil
}

// partition sets the rows to those of a partition key whose sort key meets term.
func (r *reading) partition(value ddb.Value, term *ddb.KeyTerm) error {
	key := r.key()
	if value.Kind().String() != key.hashType || term != nil && term.Value.Kind().String() != key.rangeType {
		return invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	if err := key.checkValue(key.Hash, value); err != nil {
		return err
	}
	prefix, err := partitionPrefix(r.table.Number, r.indexNumber(), value)
	if err != nil {
		return err
	}
	r.rows = iot.KeyRange{From: prefix, To: ddb.PrefixEnd(prefix)}
	if term == nil {
		return nil
	}
	lower, upper, err := term.Range()
	if err != nil {
		return err
	}
	if upper != nil {
		r.rows.To = slices.Concat(prefix, upper)
	}
	r.rows.From = slices.Concat(prefix, lower)
	return nil
}

// Scan reads a table or an index, or one segment of it.
func (e *Engine) Scan(in *ddb.ScanInput) (ddb.ReadOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.ReadOutput{}, err
	}
	r, err := e.newReading(&in.ReadInput, func(*ddb.Scope) error { return nil })
	if err != nil {
		return ddb.ReadOutput{}, err
	}
	segment, total := 0, 1
	if in.Segment != nil {
		segment, total = *in.Segment, *in.TotalSegments
	}
	r.rows = segmentRows(r.table.Number, r.indexNumber(), segment, total)
	if v := r.table.shown(); v != nil {
		return r.showAll(v, segment, total)
	}
	if in.ExclusiveStartKey != nil {
		if err := r.startBehind(in.ExclusiveStartKey); err != nil {
			return ddb.ReadOutput{}, err
		}
	}
	return r.run()
}

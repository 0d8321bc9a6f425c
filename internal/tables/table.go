package tables

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// record is a table's definition as it is stored.
type record struct {
	Definition ddb.TableDefinition
	Number     uint32 // of the table in the keys of its rows
	ID         string
	Created    time.Time
	PerRequest time.Time         `json:",omitzero"` // since when it is paid per request
	Indexes    map[string]uint32 `json:",omitempty"`
	NextIndex  uint32            // the number of the next index; numbers are not used again
	TTL        string            `json:",omitempty"` // the attribute; "" is off
	Tags       []ddb.Tag         `json:",omitempty"`
}

// table is a definition in force. It is immutable, but for what it points to,
// which the definitions that follow it share.
type table struct {
	record
	key     keySchema
	indexes []*index // the local ones first
	locks   *stripes
	stats   *stats
	view    *View // nil for none
}

// keySchema is a key's attributes and their types; the second is "" for none.
type keySchema struct {
	ddb.KeyAttributes
	hashType, rangeType string
}

// names are the key's attributes, in order.
func (k *keySchema) names() []string {
	if k.Range == "" {
		return []string{k.Hash}
	}
	return []string{k.Hash, k.Range}
}

// index is a secondary index of a table.
type index struct {
	number     uint32
	name       string
	global     bool
	key        keySchema
	projection ddb.IndexProjection
}

// build makes the table of a record.
func (e *Engine) build(r *record, locks *stripes, s *stats) *table {
	t := &table{record: *r, locks: locks, stats: s}
	t.key = t.schema(r.Definition.KeySchema)
	for i, d := range slices.Concat(r.Definition.LocalSecondaryIndexes, r.Definition.GlobalSecondaryIndexes) {
		t.indexes = append(t.indexes, &index{
			number: r.Indexes[d.IndexName], name: d.IndexName, global: i >= len(r.Definition.LocalSecondaryIndexes),
			key: t.schema(d.KeySchema), projection: d.Projection,
		})
	}
	if v, ok := e.cfg.Views[t.name()]; ok && v.fits(&t.key) {
		t.view = &v
	}
	return t
}

func (t *table) schema(parts []ddb.KeySchemaElement) keySchema {
	k := keySchema{KeyAttributes: ddb.KeyOf(parts)}
	k.hashType, k.rangeType = t.Definition.Type(k.Hash), t.Definition.Type(k.Range)
	return k
}

func (t *table) name() string { return t.Definition.TableName }

// index returns the index of a name.
func (t *table) index(name string) (*index, error) {
	for _, x := range t.indexes {
		if x.name == name {
			return x, nil
		}
	}
	return nil, invalid("The table does not have the specified index: %s", name)
}

// projects reports whether the index holds an attribute of its table's items.
func (x *index) projects(t *table, attribute string) bool {
	return x.projection.ProjectionType == ddb.ProjectAll ||
		slices.Contains(x.projection.NonKeyAttributes, attribute) ||
		slices.Contains(x.key.names(), attribute) || slices.Contains(t.key.names(), attribute)
}

// stats count a table's items and their bytes. They are saved now and then, and
// so may miss the last moments before a crash.
type stats struct {
	items, bytes atomic.Int64
	saved        atomic.Int64 // the items and bytes last saved, as one sum
}

func (s *stats) encode() []byte {
	return binary.AppendVarint(binary.AppendVarint(nil, s.items.Load()), s.bytes.Load())
}

func (s *stats) decode(value []byte) error {
	items, n := binary.Varint(value)
	bytes, m := binary.Varint(value[max(n, 0):])
	if n <= 0 || m <= 0 {
		return fmt.Errorf("the record is damaged: %w", iot.ErrInvalid)
	}
	s.items.Store(items)
	s.bytes.Store(bytes)
	s.saved.Store(items + bytes)
	return nil
}

// describe is the table as AWS describes it.
func (e *Engine) describe(t *table, status string) *ddb.TableDescription {
	d := &t.Definition
	arn := e.arn(d.TableName)
	out := &ddb.TableDescription{
		AttributeDefinitions: d.AttributeDefinitions, TableName: d.TableName, KeySchema: d.KeySchema, TableStatus: status,
		CreationDateTime: seconds(t.Created), ProvisionedThroughput: *describeThroughput(d.ProvisionedThroughput),
		TableSizeBytes: max(t.stats.bytes.Load(), 0), ItemCount: max(t.stats.items.Load(), 0), TableArn: arn, TableID: t.ID,
		DeletionProtectionEnabled: d.DeletionProtectionEnabled,
	}
	if d.BillingMode == ddb.BillingPerRequest || !t.PerRequest.IsZero() {
		mode := d.BillingMode
		if mode == "" {
			mode = ddb.BillingProvisioned
		}
		out.BillingModeSummary = &ddb.BillingModeSummary{BillingMode: mode, LastUpdateToPayPerRequestDateTime: seconds(t.PerRequest)}
	}
	if d.TableClass != "" {
		out.TableClassSummary = &ddb.TableClassSummary{TableClass: d.TableClass}
	}
	for _, x := range d.LocalSecondaryIndexes {
		out.LocalSecondaryIndexes = append(out.LocalSecondaryIndexes, ddb.IndexDescription{
			IndexName: x.IndexName, KeySchema: x.KeySchema, Projection: x.Projection, IndexArn: arn + "/index/" + x.IndexName,
		})
	}
	for _, x := range d.GlobalSecondaryIndexes {
		out.GlobalSecondaryIndexes = append(out.GlobalSecondaryIndexes, ddb.IndexDescription{
			IndexName: x.IndexName, KeySchema: x.KeySchema, Projection: x.Projection, IndexArn: arn + "/index/" + x.IndexName,
			IndexStatus: "ACTIVE", ProvisionedThroughput: describeThroughput(x.ProvisionedThroughput),
		})
	}
	return out
}

func describeThroughput(u *ddb.Throughput) *ddb.ThroughputDescription {
	if u == nil {
		return &ddb.ThroughputDescription{}
	}
	return &ddb.ThroughputDescription{ReadCapacityUnits: u.ReadCapacityUnits, WriteCapacityUnits: u.WriteCapacityUnits}
}

func (e *Engine) arn(name string) string { return e.cfg.Account.ARN("dynamodb", "table/"+name) }

// seconds is a time on the wire: seconds since the epoch, to the millisecond.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

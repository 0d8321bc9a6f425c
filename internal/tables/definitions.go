package tables

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxTables is how many tables an account has at most.
const maxTables = 2500

// CreateTable makes a table, ACTIVE at once; iot.ErrExists when there is one of
// its name.
func (e *Engine) CreateTable(in *ddb.CreateTableInput) (ddb.TableOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.TableOutput{}, err
	}
	e.define.Lock()
	defer e.define.Unlock()
	if _, err := e.described(in.TableName); err == nil {
		return ddb.TableOutput{}, fmt.Errorf("table %s: %w", in.TableName, iot.ErrExists)
	}
	if len(e.catalog()) >= maxTables {
		return ddb.TableOutput{}, fmt.Errorf("table %s would be one more than %d: %w", in.TableName, maxTables, iot.ErrLimit)
	}
	now := e.cfg.Now()
	e.lastNumber++
	r := &record{
		Definition: in.TableDefinition, Number: e.lastNumber, ID: uuid.NewString(), Created: now,
		Indexes: map[string]uint32{}, NextIndex: 1, Tags: in.Tags,
	}
	if in.BillingMode == ddb.BillingPerRequest {
		r.PerRequest = now
	}
	for _, x := range slices.Concat(in.LocalSecondaryIndexes, in.GlobalSecondaryIndexes) {
		r.addIndex(x.IndexName)
	}
	if err := e.cfg.Records.Apply([]iot.Write{r.write()}, true); err != nil {
		return ddb.TableOutput{}, err
	}
	t := e.build(r, &stripes{}, &stats{})
	e.replace(in.TableName, t)
	return ddb.TableOutput{TableDescription: e.describe(t, "ACTIVE")}, nil
}

func (r *record) addIndex(name string) uint32 {
	number := r.NextIndex
	r.Indexes[name] = number
	r.NextIndex++
	return number
}

func (r *record) write() iot.Write {
	return iot.Write{Key: definitionKey(r.Definition.TableName), Value: encode(r)}
}

// clone copies what a change of r may change.
func (r *record) clone() *record {
	c := *r
	c.Definition.AttributeDefinitions = slices.Clone(r.Definition.AttributeDefinitions)
	c.Definition.GlobalSecondaryIndexes = slices.Clone(r.Definition.GlobalSecondaryIndexes)
	c.Indexes = maps.Clone(r.Indexes)
	c.Tags = slices.Clone(r.Tags)
	return &c
}

// DescribeTable describes a table.
func (e *Engine) DescribeTable(in *ddb.TableInput) (ddb.DescribeTableOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.DescribeTableOutput{}, err
	}
	t, err := e.described(in.TableName)
	if err != nil {
		return ddb.DescribeTableOutput{}, err
	}
	return ddb.DescribeTableOutput{Table: e.describe(t, "ACTIVE")}, nil
}

// maxListed is how many names one ListTables answers.
const maxListed = 100

// ListTables answers a page of the tables' names, in order.
func (e *Engine) ListTables(in *ddb.ListTablesInput) (ddb.ListTablesOutput, error) {
	out := ddb.ListTablesOutput{TableNames: []string{}}
	if err := in.Check(); err != nil {
		return out, err
	}
	limit := maxListed
	if in.Limit != nil {
		limit = *in.Limit
	}
	for _, name := range slices.Sorted(maps.Keys(e.catalog())) {
		switch {
		case name <= in.ExclusiveStartTableName:
		case len(out.TableNames) == limit:
			out.LastEvaluatedTableName = out.TableNames[limit-1]
			return out, nil
		default:
			out.TableNames = append(out.TableNames, name)
		}
	}
	return out, nil
}

// DeleteTable deletes a table and all its items; iot.ErrInvalid while it is
// protected from that.
func (e *Engine) DeleteTable(in *ddb.TableInput) (ddb.TableOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.TableOutput{}, err
	}
	e.define.Lock()
	defer e.define.Unlock()
	t, err := e.described(in.TableName)
	if err != nil {
		return ddb.TableOutput{}, err
	}
	if t.Definition.DeletionProtectionEnabled {
		return ddb.TableOutput{}, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	t.locks.lockAll()
	defer t.locks.unlockAll()
	rows := tableRows(t.Number)
	err = e.cfg.Records.Apply([]iot.Write{
		{Key: definitionKey(in.TableName), Delete: true},
		{Key: statsKey(t.Number), Delete: true},
		{Key: rows.From, To: rows.To, Delete: true},
	}, true)
	if err != nil {
		return ddb.TableOutput{}, err
	}
	e.replace(in.TableName, nil)
	return ddb.TableOutput{TableDescription: e.describe(t, "DELETING")}, nil
}

// alter changes the definition of a table while nobody writes to it. What change
// returns is written with it.
func (e *Engine) alter(name string, change func(t *table, r *record) ([]iot.Write, error)) (*table, error) {
	e.define.Lock()
	defer e.define.Unlock()
	t, err := e.described(name)
	if err != nil {
		return nil, err
	}
	t.locks.lockAll()
	defer t.locks.unlockAll()
	r := t.record.clone()
	writes, err := change(t, r)
	if err != nil {
		return nil, err
	}
	if err := e.cfg.Records.Apply(append(writes, r.write()), true); err != nil {
		return nil, err
	}
	next := e.build(r, t.locks, t.stats)
	e.replace(name, next)
	return next, nil
}

// UpdateTable changes a table's billing, protection, class or global indexes. An
// index that is created holds the table's items when UpdateTable returns; the
// table's writers wait for it.
func (e *Engine) UpdateTable(in *ddb.UpdateTableInput) (ddb.TableOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.TableOutput{}, err
	}
	t, err := e.alter(in.TableName, func(t *table, r *record) ([]iot.Write, error) {
		var writes []iot.Write
		e.updateBilling(r, in)
		for _, u := range in.GlobalSecondaryIndexUpdates {
			more, err := e.updateIndex(t, r, in, &u)
			if err != nil {
				return nil, err
			}
			writes = append(writes, more...)
		}
		r.dropUnusedAttributes()
		return writes, r.Definition.Check()
	})
	if err != nil {
		return ddb.TableOutput{}, err
	}
	return ddb.TableOutput{TableDescription: e.describe(t, "ACTIVE")}, nil
}

func (e *Engine) updateBilling(r *record, in *ddb.UpdateTableInput) {
	d := &r.Definition
	if in.BillingMode == ddb.BillingPerRequest && d.BillingMode != ddb.BillingPerRequest {
		r.PerRequest = e.cfg.Now()
		d.ProvisionedThroughput = nil
		for i := range d.GlobalSecondaryIndexes {
			d.GlobalSecondaryIndexes[i].ProvisionedThroughput = nil
		}
	}
	d.BillingMode = cmp.Or(in.BillingMode, d.BillingMode)
	d.ProvisionedThroughput = cmp.Or(in.ProvisionedThroughput, d.ProvisionedThroughput)
	d.TableClass = cmp.Or(in.TableClass, d.TableClass)
	if in.DeletionProtectionEnabled != nil {
		d.DeletionProtectionEnabled = *in.DeletionProtectionEnabled
	}
}

func (e *Engine) updateIndex(t *table, r *record, in *ddb.UpdateTableInput, u *ddb.IndexUpdate) ([]iot.Write, error) {
	indexes := &r.Definition.GlobalSecondaryIndexes
	find := func(name string) int {
		return slices.IndexFunc(*indexes, func(x ddb.IndexDefinition) bool { return x.IndexName == name })
	}
	switch {
	case u.Create != nil:
		if _, ok := r.Indexes[u.Create.IndexName]; ok {
			return nil, invalid("Attempting to create an index which already exists")
		}
		for _, a := range in.AttributeDefinitions {
			if r.Definition.Type(a.AttributeName) == "" {
				r.Definition.AttributeDefinitions = append(r.Definition.AttributeDefinitions, a)
			}
		}
		*indexes = append(*indexes, *u.Create)
		r.addIndex(u.Create.IndexName)
		if err := r.Definition.Check(); err != nil {
			return nil, err
		}
		return nil, e.fill(e.build(r, t.locks, t.stats), u.Create.IndexName)
	case u.Delete != nil:
		i := find(u.Delete.IndexName)
		if i < 0 {
			return nil, notFound("Requested resource not found: Index: " + u.Delete.IndexName)
		}
		*indexes = slices.Delete(*indexes, i, i+1)
		rows := indexRows(t.Number, r.Indexes[u.Delete.IndexName])
		delete(r.Indexes, u.Delete.IndexName)
		return []iot.Write{{Key: rows.From, To: rows.To, Delete: true}}, nil
	case u.Update != nil:
		i := find(u.Update.IndexName)
		if i < 0 {
			return nil, notFound("Requested resource not found: Index: " + u.Update.IndexName)
		}
		(*indexes)[i].ProvisionedThroughput = u.Update.ProvisionedThroughput
		return nil, nil
	}
	return nil, invalid("One or more parameter values were invalid: an index update names no change")
}

// dropUnusedAttributes forgets the definitions of attributes that only an index
// which is gone had in its key.
func (r *record) dropUnusedAttributes() {
	used := map[string]bool{}
	d := &r.Definition
	for _, part := range d.KeySchema {
		used[part.AttributeName] = true
	}
	for _, x := range slices.Concat(d.LocalSecondaryIndexes, d.GlobalSecondaryIndexes) {
		for _, part := range x.KeySchema {
			used[part.AttributeName] = true
		}
	}
	d.AttributeDefinitions = slices.DeleteFunc(d.AttributeDefinitions, func(a ddb.AttributeDefinition) bool { return !used[a.AttributeName] })
}

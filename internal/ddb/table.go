package ddb

import (
	"fmt"
	"slices"
	"strings"
)

// TableDefinition is what CreateTable says of a table, in AWS's own members. It is
// the part of a table that lasts until UpdateTable changes it.
type TableDefinition struct {
	TableName                 string
	AttributeDefinitions      []AttributeDefinition
	KeySchema                 []KeySchemaElement
	LocalSecondaryIndexes     []IndexDefinition `json:",omitempty"`
	GlobalSecondaryIndexes    []IndexDefinition `json:",omitempty"`
	BillingMode               string            `json:",omitempty"` // BillingProvisioned or BillingPerRequest
	ProvisionedThroughput     *Throughput       `json:",omitempty"`
	TableClass                string            `json:",omitempty"`
	DeletionProtectionEnabled bool              `json:",omitempty"`
}

// The values of BillingMode. Capacity is counted and shown; nothing is throttled.
const (
	BillingProvisioned = "PROVISIONED"
	BillingPerRequest  = "PAY_PER_REQUEST"
)

// AttributeDefinition is the type, S, N or B, of an attribute that is part of a key.
type AttributeDefinition struct{ AttributeName, AttributeType string }

// KeySchemaElement is one part of a key: HASH or RANGE.
type KeySchemaElement struct{ AttributeName, KeyType string }

// Throughput is provisioned capacity, in units.
type Throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }

// IndexDefinition is a secondary index.
type IndexDefinition struct {
	IndexName             string
	KeySchema             []KeySchemaElement
	Projection            IndexProjection
	ProvisionedThroughput *Throughput `json:",omitempty"`

	// Members that Fieldline refuses.
	OnDemandThroughput Given `json:"OnDemandThroughput,omitzero"`
	WarmThroughput     Given `json:"WarmThroughput,omitzero"`
}

// The values of IndexProjection.ProjectionType.
const (
	ProjectAll     = "ALL"
	ProjectKeys    = "KEYS_ONLY"
	ProjectInclude = "INCLUDE"
)

// IndexProjection says which attributes an index holds beside the keys.
type IndexProjection struct {
	ProjectionType   string
	NonKeyAttributes []string `json:",omitempty"`
}

// Tag is a label of a table.
type Tag struct{ Key, Value string }

// KeyAttributes are the names of a key's attributes; Range is "" when the key has
// one part.
type KeyAttributes struct{ Hash, Range string }

// KeyOf returns the key that a valid schema describes.
func KeyOf(schema []KeySchemaElement) KeyAttributes {
	k := KeyAttributes{Hash: schema[0].AttributeName}
	if len(schema) > 1 {
		k.Range = schema[1].AttributeName
	}
	return k
}

// Type returns the type of a key attribute: S, N or B, or "" when it is not defined.
func (d *TableDefinition) Type(attribute string) string {
	i := slices.IndexFunc(d.AttributeDefinitions, func(a AttributeDefinition) bool { return a.AttributeName == attribute })
	if i < 0 {
		return ""
	}
	return d.AttributeDefinitions[i].AttributeType
}

// Check returns an error wrapping iot.ErrInvalid unless a table can be made of d.
func (d *TableDefinition) Check() error {
	if err := checkName("tableName", d.TableName); err != nil {
		return err
	}
	if err := checkSchema(d.KeySchema); err != nil {
		return err
	}
	for i, a := range d.AttributeDefinitions {
		member := fmt.Sprintf("attributeDefinitions.%d.member.", i+1)
		if !slices.Contains([]string{"S", "N", "B"}, a.AttributeType) {
			return unmet(member+"attributeType", a.AttributeType, "satisfy enum value set: [B, N, S]")
		}
		if n := len(a.AttributeName); n == 0 || n > 255 {
			return unmet(member+"attributeName", a.AttributeName, "have length between 1 and 255")
		}
	}
	if err := d.checkIndexes(); err != nil {
		return err
	}
	if err := d.checkAttributes(); err != nil {
		return err
	}
	return d.checkBilling()
}

// The quotas of secondary indexes.
const (
	maxLocalIndexes     = 5
	maxGlobalIndexes    = 20
	maxNonKeyAttributes = 100 // of all indexes of a table that name their attributes
)

func (d *TableDefinition) checkIndexes() error {
	if n := len(d.LocalSecondaryIndexes); n > maxLocalIndexes {
		return invalidf("One or more parameter values were invalid: Number of LocalSecondaryIndexes exceeds per-table limit of %d", maxLocalIndexes)
	}
	if n := len(d.GlobalSecondaryIndexes); n > maxGlobalIndexes {
		return invalidf("One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of %d", maxGlobalIndexes)
	}
	seen := map[string]bool{}
	named := 0
	for i, x := range slices.Concat(d.LocalSecondaryIndexes, d.GlobalSecondaryIndexes) {
		if err := x.Check(); err != nil {
			return err
		}
		if seen[x.IndexName] {
			return invalidf("One or more parameter values were invalid: Duplicate index name: %s", x.IndexName)
		}
		seen[x.IndexName] = true
		named += len(x.Projection.NonKeyAttributes)
		if i >= len(d.LocalSecondaryIndexes) {
			continue
		}
		if err := d.checkLocalKey(&x); err != nil {
			return err
		}
	}
	if named > maxNonKeyAttributes {
		return invalidf("One or more parameter values were invalid: the number of projected attributes of all indexes exceeds the limit of %d", maxNonKeyAttributes)
	}
	return nil
}

func (d *TableDefinition) checkLocalKey(x *IndexDefinition) error {
	switch {
	case len(d.KeySchema) < 2:
		return invalid("One or more parameter values were invalid: Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
	case len(x.KeySchema) < 2:
		return invalidf("One or more parameter values were invalid: Index KeySchema does not have a range key for index: %s", x.IndexName)
	case x.KeySchema[0].AttributeName != d.KeySchema[0].AttributeName:
		return invalidf("One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. index hash key: %s, table hash key: %s",
			x.IndexName, x.KeySchema[0].AttributeName, d.KeySchema[0].AttributeName)
	}
	return nil
}

// Check returns an error wrapping iot.ErrInvalid unless x can be an index.
func (x *IndexDefinition) Check() error {
	if err := checkName("indexName", x.IndexName); err != nil {
		return err
	}
	if err := refuse(Member{"OnDemandThroughput", x.OnDemandThroughput}, Member{"WarmThroughput", x.WarmThroughput}); err != nil {
		return err
	}
	if err := checkSchema(x.KeySchema); err != nil {
		return err
	}
	p := &x.Projection
	switch {
	case p.ProjectionType == "":
		return invalid("One or more parameter values were invalid: Unknown ProjectionType: null")
	case !slices.Contains([]string{ProjectAll, ProjectKeys, ProjectInclude}, p.ProjectionType):
		return unmet("projection.projectionType", p.ProjectionType, "satisfy enum value set: [ALL, INCLUDE, KEYS_ONLY]")
	case p.ProjectionType == ProjectInclude && len(p.NonKeyAttributes) == 0:
		return invalid("One or more parameter values were invalid: ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case p.ProjectionType != ProjectInclude && len(p.NonKeyAttributes) > 0:
		return invalidf("One or more parameter values were invalid: ProjectionType is %s, but NonKeyAttributes is specified", p.ProjectionType)
	}
	return nil
}

// checkSchema checks a key's own form.
func checkSchema(schema []KeySchemaElement) error {
	if len(schema) == 0 || len(schema) > 2 {
		return unmet("keySchema", "…", "have length between 1 and 2")
	}
	for i, part := range schema {
		want := [...]string{"HASH", "RANGE"}[i]
		switch {
		case part.KeyType != "HASH" && part.KeyType != "RANGE":
			return unmet("keySchema.member.keyType", part.KeyType, "satisfy enum value set: [HASH, RANGE]")
		case part.KeyType != want && i == 0:
			return invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
		case part.KeyType != want:
			return invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
		case part.AttributeName == "":
			return unmet("keySchema.member.attributeName", "", "have length greater than or equal to 1")
		}
	}
	if len(schema) == 2 && schema[0].AttributeName == schema[1].AttributeName {
		return invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	return nil
}

// checkAttributes checks that exactly the attributes of the keys are defined.
func (d *TableDefinition) checkAttributes() error {
	used := map[string]bool{}
	for _, schema := range d.schemas() {
		for _, part := range schema {
			used[part.AttributeName] = true
		}
	}
	defined := map[string]bool{}
	for _, a := range d.AttributeDefinitions {
		if defined[a.AttributeName] {
			return invalidf("Cannot have two attributes with the same name: %s", a.AttributeName)
		}
		defined[a.AttributeName] = true
	}
	for name := range used {
		if !defined[name] {
			return invalidf("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: %s, AttributeDefinitions: %s", listNames(used), listNames(defined))
		}
	}
	if len(defined) > len(used) {
		return invalidf("One or more parameter values were invalid: Some AttributeDefinitions are not used. AttributeDefinitions: %s, keys used: %s", listNames(defined), listNames(used))
	}
	return nil
}

// schemas returns the key schemas of the table and its indexes.
func (d *TableDefinition) schemas() [][]KeySchemaElement {
	all := [][]KeySchemaElement{d.KeySchema}
	for _, x := range slices.Concat(d.LocalSecondaryIndexes, d.GlobalSecondaryIndexes) {
		all = append(all, x.KeySchema)
	}
	return all
}

func listNames(set map[string]bool) string {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return "[" + strings.Join(names, ", ") + "]"
}

// checkBilling checks that capacity is said exactly where the mode asks for it.
func (d *TableDefinition) checkBilling() error {
	units := []*Throughput{d.ProvisionedThroughput}
	for _, x := range d.GlobalSecondaryIndexes {
		units = append(units, x.ProvisionedThroughput)
	}
	switch d.BillingMode {
	case BillingPerRequest:
		if slices.ContainsFunc(units, func(u *Throughput) bool { return u != nil && *u != Throughput{} }) {
			return invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
	case BillingProvisioned, "":
		if slices.Contains(units, nil) {
			return invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
		}
		if slices.ContainsFunc(units, func(u *Throughput) bool { return u.ReadCapacityUnits < 1 || u.WriteCapacityUnits < 1 }) {
			return unmet("provisionedThroughput", "…", "have values greater than or equal to 1")
		}
	default:
		return unmet("billingMode", d.BillingMode, "satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]")
	}
	if !slices.Contains([]string{"", "STANDARD", "STANDARD_INFREQUENT_ACCESS"}, d.TableClass) {
		return unmet("tableClass", d.TableClass, "satisfy enum value set: [STANDARD, STANDARD_INFREQUENT_ACCESS]")
	}
	return nil
}

package ddb

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// CreateTableInput is the request of CreateTable.
type CreateTableInput struct {
	TableDefinition
	Tags []Tag

	StreamSpecification streamSpecification
	SSESpecification    sseSpecification

	// Members that Fieldline refuses.
	GlobalTableSettingsReplicationMode Given
	GlobalTableSourceArn               Given
	OnDemandThroughput                 Given
	ResourcePolicy                     Given
	WarmThroughput                     Given
}

type (
	streamSpecification struct{ StreamEnabled bool }
	sseSpecification    struct{ Enabled bool }
)

// Check tests the request, without its table's name being free.
func (in *CreateTableInput) Check() error {
	return cmp.Or(refuse(
		Member{"StreamSpecification", Given(in.StreamSpecification.StreamEnabled)},
		Member{"SSESpecification", Given(in.SSESpecification.Enabled)},
		Member{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode},
		Member{"GlobalTableSourceArn", in.GlobalTableSourceArn},
		Member{"OnDemandThroughput", in.OnDemandThroughput},
		Member{"ResourcePolicy", in.ResourcePolicy},
		Member{"WarmThroughput", in.WarmThroughput},
	), in.checkLists(), in.TableDefinition.Check(), checkTags(in.Tags))
}

// checkLists refuses lists of indexes that are given and empty.
func (in *CreateTableInput) checkLists() error {
	switch {
	case in.LocalSecondaryIndexes != nil && len(in.LocalSecondaryIndexes) == 0:
		return invalid("One or more parameter values were invalid: List of LocalSecondaryIndexes is empty")
	case in.GlobalSecondaryIndexes != nil && len(in.GlobalSecondaryIndexes) == 0:
		return invalid("One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty")
	}
	return nil
}

// UpdateTableInput is the request of UpdateTable. A nil member changes nothing.
type UpdateTableInput struct {
	TableName                   string
	AttributeDefinitions        []AttributeDefinition
	BillingMode                 string
	ProvisionedThroughput       *Throughput
	GlobalSecondaryIndexUpdates []IndexUpdate
	TableClass                  string
	DeletionProtectionEnabled   *bool

	StreamSpecification streamSpecification
	SSESpecification    sseSpecification

	// Members that Fieldline refuses.
	GlobalTableSettingsReplicationMode Given
	GlobalTableWitnessUpdates          Given
	MultiRegionConsistency             Given
	OnDemandThroughput                 Given
	ReplicaUpdates                     Given
	WarmThroughput                     Given
}

// IndexUpdate is one change of a table's global secondary indexes: exactly one of
// its members is set.
type IndexUpdate struct {
	Create *IndexDefinition
	Delete *struct{ IndexName string }
	Update *struct {
		IndexName             string
		ProvisionedThroughput *Throughput
	}
}

// Check tests the request, without its table.
func (in *UpdateTableInput) Check() error {
	if in.TableName == "" {
		return missing("tableName")
	}
	err := refuse(
		Member{"StreamSpecification", Given(in.StreamSpecification.StreamEnabled)},
		Member{"SSESpecification", Given(in.SSESpecification.Enabled)},
		Member{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode},
		Member{"GlobalTableWitnessUpdates", in.GlobalTableWitnessUpdates},
		Member{"MultiRegionConsistency", in.MultiRegionConsistency},
		Member{"OnDemandThroughput", in.OnDemandThroughput},
		Member{"ReplicaUpdates", in.ReplicaUpdates},
		Member{"WarmThroughput", in.WarmThroughput},
	)
	if err != nil {
		return err
	}
	if in.empty() {
		return invalid("At least one of ProvisionedThroughput, BillingMode, GlobalSecondaryIndexUpdates, TableClass or DeletionProtectionEnabled is required")
	}
	changes := 0
	for _, u := range in.GlobalSecondaryIndexUpdates {
		if u.Create != nil {
			changes++
		}
		if u.Delete != nil {
			changes++
		}
	}
	if changes > 1 {
		return fmt.Errorf("subscriber limit exceeded: only 1 online index can be created or deleted simultaneously per table: %w", iot.ErrLimit)
	}
	return nil
}

// empty reports whether the request changes nothing.
func (in *UpdateTableInput) empty() bool {
	return in.BillingMode == "" && in.ProvisionedThroughput == nil && len(in.GlobalSecondaryIndexUpdates) == 0 &&
		in.TableClass == "" && in.DeletionProtectionEnabled == nil
}

// TableInput is the request of the operations that take a table's name alone.
type TableInput struct{ TableName string }

// Check tests the request.
func (in *TableInput) Check() error { return checkTableName(in.TableName) }

// checkTableName checks the name of a table that should be there. AWS takes its ARN
// as well, which Fieldline refuses.
func checkTableName(name string) error {
	if strings.HasPrefix(name, "arn:") {
		return fmt.Errorf("an ARN as TableName: %w by Fieldline; use the table's name", iot.ErrUnsupported)
	}
	return checkName("tableName", name)
}

// ListTablesInput is the request of ListTables.
type ListTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

// Check tests the request.
func (in *ListTablesInput) Check() error {
	if in.Limit != nil && (*in.Limit < 1 || *in.Limit > 100) {
		return unmet("limit", strconv.Itoa(*in.Limit), "have value between 1 and 100")
	}
	if in.ExclusiveStartTableName == "" {
		return nil
	}
	return checkName("exclusiveStartTableName", in.ExclusiveStartTableName)
}

// ListTablesOutput is a page of table names, in order.
type ListTablesOutput struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

// TableOutput is the result of CreateTable, UpdateTable and DeleteTable.
type TableOutput struct{ TableDescription *TableDescription }

// DescribeTableOutput is the result of DescribeTable.
type DescribeTableOutput struct{ Table *TableDescription }

// TableDescription is a table as AWS describes it. Times are seconds since the
// epoch; ItemCount and TableSizeBytes do not count what was written in the last
// moments before a crash.
type TableDescription struct {
	AttributeDefinitions      []AttributeDefinition
	TableName                 string
	KeySchema                 []KeySchemaElement
	TableStatus               string
	CreationDateTime          float64
	ProvisionedThroughput     ThroughputDescription
	TableSizeBytes            int64
	ItemCount                 int64
	TableArn                  string
	TableID                   string              `json:"TableId"`
	BillingModeSummary        *BillingModeSummary `json:",omitempty"`
	LocalSecondaryIndexes     []IndexDescription  `json:",omitempty"`
	GlobalSecondaryIndexes    []IndexDescription  `json:",omitempty"`
	TableClassSummary         *TableClassSummary  `json:",omitempty"`
	DeletionProtectionEnabled bool
}

// ThroughputDescription is provisioned capacity as it is described; zero units
// for a table that is paid per request.
type ThroughputDescription struct {
	NumberOfDecreasesToday                int64
	ReadCapacityUnits, WriteCapacityUnits int64
}

// BillingModeSummary is the billing mode as it is described.
type BillingModeSummary struct {
	BillingMode                       string
	LastUpdateToPayPerRequestDateTime float64 `json:",omitempty"`
}

// TableClassSummary is the table class as it is described.
type TableClassSummary struct{ TableClass string }

// IndexDescription is a secondary index as AWS describes it. The members of a
// global index alone are pointers.
type IndexDescription struct {
	IndexName             string
	KeySchema             []KeySchemaElement
	Projection            IndexProjection
	IndexStatus           string                 `json:",omitempty"`
	ProvisionedThroughput *ThroughputDescription `json:",omitempty"`
	IndexSizeBytes        int64
	ItemCount             int64
	IndexArn              string
}

// TimeToLiveSpecification says which attribute holds an item's end, in seconds
// since the epoch.
type TimeToLiveSpecification struct {
	AttributeName string
	Enabled       *bool
}

// UpdateTimeToLiveInput is the request of UpdateTimeToLive.
type UpdateTimeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification *TimeToLiveSpecification
}

// Check tests the request.
func (in *UpdateTimeToLiveInput) Check() error {
	if in.TimeToLiveSpecification == nil {
		return missing("timeToLiveSpecification")
	}
	if in.TimeToLiveSpecification.Enabled == nil {
		return missing("timeToLiveSpecification.enabled")
	}
	if n := len(in.TimeToLiveSpecification.AttributeName); n == 0 || n > 255 {
		return unmet("timeToLiveSpecification.attributeName", in.TimeToLiveSpecification.AttributeName, "have length between 1 and 255")
	}
	return checkTableName(in.TableName)
}

// UpdateTimeToLiveOutput is the result of UpdateTimeToLive.
type UpdateTimeToLiveOutput struct{ TimeToLiveSpecification TimeToLiveSpecification }

// DescribeTimeToLiveOutput is the result of DescribeTimeToLive.
type DescribeTimeToLiveOutput struct{ TimeToLiveDescription TimeToLiveDescription }

// TimeToLiveDescription is ENABLED with its attribute, or DISABLED.
type TimeToLiveDescription struct {
	TimeToLiveStatus string
	AttributeName    string `json:",omitempty"`
}

// TagResourceInput is the request of TagResource.
type TagResourceInput struct {
	ResourceArn string
	Tags        []Tag
}

// Check tests the request.
func (in *TagResourceInput) Check() error {
	if in.ResourceArn == "" {
		return missing("resourceArn")
	}
	if in.Tags == nil {
		return missing("tags")
	}
	return checkTags(in.Tags)
}

func checkTags(tags []Tag) error {
	for _, t := range tags {
		if len(t.Key) == 0 || len(t.Key) > 128 {
			return unmet("tags.member.key", t.Key, "have length between 1 and 128")
		}
		if len(t.Value) > 256 {
			return unmet("tags.member.value", t.Value, "have length less than or equal to 256")
		}
	}
	return nil
}

// UntagResourceInput is the request of UntagResource.
type UntagResourceInput struct {
	ResourceArn string
	TagKeys     []string
}

// Check tests the request.
func (in *UntagResourceInput) Check() error {
	if in.ResourceArn == "" {
		return missing("resourceArn")
	}
	if in.TagKeys == nil {
		return missing("tagKeys")
	}
	return nil
}

// ListTagsInput is the request of ListTagsOfResource, which answers all tags at
// once: its NextToken is never given out.
type ListTagsInput struct{ ResourceArn string }

// Check tests the request.
func (in *ListTagsInput) Check() error {
	if in.ResourceArn == "" {
		return missing("resourceArn")
	}
	return nil
}

// ListTagsOutput is the result of ListTagsOfResource.
type ListTagsOutput struct{ Tags []Tag }

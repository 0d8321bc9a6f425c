package ddb

import (
	"cmp"
	"strconv"
)

// Write is one write of one item. Which of its members count is told by the
// operation: Item is that of a put; Key that of the others; UpdateExpression that of
// an update.
type Write struct {
	TableName                           string
	Item                                Item
	Key                                 Item
	UpdateExpression                    *string
	ConditionExpression                 *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           Values
	ReturnValuesOnConditionCheckFailure string
}

func (w *Write) check(key Item, member string) error {
	if err := checkTableName(w.TableName); err != nil {
		return err
	}
	if key == nil {
		return missing(member)
	}
	return oneOf("returnValuesOnConditionCheckFailure", w.ReturnValuesOnConditionCheckFailure, "ALL_OLD", "NONE")
}

// The values of ReturnValues.
const (
	ReturnNone       = "NONE"
	ReturnAllOld     = "ALL_OLD"
	ReturnUpdatedOld = "UPDATED_OLD"
	ReturnAllNew     = "ALL_NEW"
	ReturnUpdatedNew = "UPDATED_NEW"
)

// WriteInput is what the requests of PutItem, UpdateItem and DeleteItem share.
type WriteInput struct {
	Write
	ReturnValues                string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
	Legacy
}

func (in *WriteInput) check(allowed ...string) error {
	if err := in.Legacy.check(); err != nil {
		return err
	}
	err := cmp.Or(
		oneOf("returnValues", in.ReturnValues, ReturnNone, ReturnAllOld, ReturnUpdatedOld, ReturnAllNew, ReturnUpdatedNew),
		checkReturnCapacity(in.ReturnConsumedCapacity),
		oneOf("returnItemCollectionMetrics", in.ReturnItemCollectionMetrics, "SIZE", "NONE"),
		refuse(Member{"ReturnItemCollectionMetrics", in.ReturnItemCollectionMetrics == "SIZE"}),
	)
	if err == nil && oneOf("", in.ReturnValues, allowed...) != nil {
		err = invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	return err
}

// PutItemInput is the request of PutItem.
type PutItemInput struct{ WriteInput }

// Check tests the request.
func (in *PutItemInput) Check() error {
	return cmp.Or(in.Write.check(in.Item, "item"), in.WriteInput.check(ReturnNone, ReturnAllOld))
}

// UpdateItemInput is the request of UpdateItem.
type UpdateItemInput struct{ WriteInput }

// Check tests the request.
func (in *UpdateItemInput) Check() error {
	return cmp.Or(in.Write.check(in.Key, "key"),
		in.WriteInput.check(ReturnNone, ReturnAllOld, ReturnUpdatedOld, ReturnAllNew, ReturnUpdatedNew))
}

// DeleteItemInput is the request of DeleteItem.
type DeleteItemInput struct{ WriteInput }

// Check tests the request.
func (in *DeleteItemInput) Check() error {
	return cmp.Or(in.Write.check(in.Key, "key"), in.WriteInput.check(ReturnNone, ReturnAllOld))
}

// WriteOutput is the result of PutItem, UpdateItem and DeleteItem.
type WriteOutput struct {
	Attributes       Item              `json:",omitzero"`
	ConsumedCapacity *ConsumedCapacity `json:",omitempty"`
}

// ConsumedCapacity is the capacity that a request used on one table, by AWS's
// rounding rules.
type ConsumedCapacity struct {
	TableName              string
	CapacityUnits          float64
	ReadCapacityUnits      float64             `json:",omitempty"` // of transactions
	WriteCapacityUnits     float64             `json:",omitempty"` // of transactions
	Table                  *Capacity           `json:",omitempty"` // with INDEXES
	LocalSecondaryIndexes  map[string]Capacity `json:",omitempty"`
	GlobalSecondaryIndexes map[string]Capacity `json:",omitempty"`
}

// Capacity is a part of it.
type Capacity struct {
	CapacityUnits      float64
	ReadCapacityUnits  float64 `json:",omitempty"`
	WriteCapacityUnits float64 `json:",omitempty"`
}

// The values of ReturnConsumedCapacity.
const (
	CapacityNone    = "NONE"
	CapacityTotal   = "TOTAL"
	CapacityIndexes = "INDEXES"
)

func checkReturnCapacity(value string) error {
	return oneOf("returnConsumedCapacity", value, CapacityIndexes, CapacityTotal, CapacityNone)
}

// Get is one read of one item.
type Get struct {
	TableName                string
	Key                      Item
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

func (g *Get) check() error {
	if err := checkTableName(g.TableName); err != nil {
		return err
	}
	if g.Key == nil {
		return missing("key")
	}
	return nil
}

// GetItemInput is the request of GetItem. Every read here is consistent;
// ConsistentRead says what it costs.
type GetItemInput struct {
	Get
	ConsistentRead         bool
	ReturnConsumedCapacity string
	Legacy
}

// Check tests the request.
func (in *GetItemInput) Check() error {
	return cmp.Or(in.Get.check(), in.Legacy.check(), checkReturnCapacity(in.ReturnConsumedCapacity))
}

// GetItemOutput is the result of GetItem.
type GetItemOutput struct {
	Item             Item              `json:",omitzero"`
	ConsumedCapacity *ConsumedCapacity `json:",omitempty"`
}

// The values of Select.
const (
	SelectAll       = "ALL_ATTRIBUTES"
	SelectProjected = "ALL_PROJECTED_ATTRIBUTES"
	SelectSpecific  = "SPECIFIC_ATTRIBUTES"
	SelectCount     = "COUNT"
)

// ReadInput is what the requests of Query and Scan share.
type ReadInput struct {
	TableName                 string
	IndexName                 string
	Select                    string
	Limit                     *int
	ConsistentRead            bool
	ExclusiveStartKey         Item
	ProjectionExpression      *string
	FilterExpression          *string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues Values
	ReturnConsumedCapacity    string
	Legacy
}

func (in *ReadInput) check() error {
	if in.Limit != nil && *in.Limit < 1 {
		return unmet("limit", strconv.Itoa(*in.Limit), "have value greater than or equal to 1")
	}
	err := cmp.Or(checkTableName(in.TableName), in.Legacy.check(), checkReturnCapacity(in.ReturnConsumedCapacity),
		oneOf("select", in.Select, SelectSpecific, SelectCount, SelectAll, SelectProjected))
	switch {
	case err != nil:
		return err
	case in.ProjectionExpression != nil && in.Select != "" && in.Select != SelectSpecific:
		return invalidf("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	case in.ProjectionExpression == nil && in.Select == SelectSpecific:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case in.Select == SelectProjected && in.IndexName == "":
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	return nil
}

// QueryInput is the request of Query.
type QueryInput struct {
	ReadInput
	KeyConditionExpression *string
	ScanIndexForward       *bool // nil is true
}

// Check tests the request.
func (in *QueryInput) Check() error {
	if err := in.ReadInput.check(); err != nil {
		return err
	}
	if in.KeyConditionExpression == nil {
		return invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	return nil
}

// ScanInput is the request of Scan. Segment and TotalSegments go together.
type ScanInput struct {
	ReadInput
	Segment       *int
	TotalSegments *int
}

const maxSegments = 1_000_000

// Check tests the request.
func (in *ScanInput) Check() error {
	if err := in.ReadInput.check(); err != nil {
		return err
	}
	switch {
	case in.Segment == nil && in.TotalSegments == nil:
		return nil
	case in.Segment == nil:
		return invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.TotalSegments == nil:
		return invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case *in.TotalSegments < 1 || *in.TotalSegments > maxSegments:
		return unmet("totalSegments", strconv.Itoa(*in.TotalSegments), "have value between 1 and 1000000")
	case *in.Segment < 0:
		return unmet("segment", strconv.Itoa(*in.Segment), "have value greater than or equal to 0")
	case *in.Segment >= *in.TotalSegments:
		return invalidf("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	}
	return nil
}

// ReadOutput is the result of Query and Scan.
type ReadOutput struct {
	Items            []Item `json:",omitzero"` // nil with Select COUNT
	Count            int
	ScannedCount     int
	LastEvaluatedKey Item              `json:",omitzero"`
	ConsumedCapacity *ConsumedCapacity `json:",omitempty"`
}

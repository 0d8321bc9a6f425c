package ddb

import "cmp"

// The quotas of requests about several items.
const (
	maxBatchGets  = 100
	maxBatchPuts  = 25
	maxTransacted = 100
)

// KeysAndAttributes are the keys that BatchGetItem reads of one table.
type KeysAndAttributes struct {
	Keys                     []Item
	ConsistentRead           bool              `json:",omitempty"`
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
	AttributesToGet          Given             `json:",omitempty"` // refused
}

// BatchGetItemInput is the request of BatchGetItem.
type BatchGetItemInput struct {
	RequestItems           map[string]KeysAndAttributes
	ReturnConsumedCapacity string
}

// Check tests the request.
func (in *BatchGetItemInput) Check() error {
	if len(in.RequestItems) == 0 {
		return invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	n := 0
	for table, keys := range in.RequestItems {
		legacy := Legacy{AttributesToGet: keys.AttributesToGet}
		if err := cmp.Or(checkTableName(table), legacy.check()); err != nil {
			return err
		}
		if len(keys.Keys) == 0 {
			return unmet("requestItems."+table+".member.keys", "[]", "have length greater than or equal to 1")
		}
		n += len(keys.Keys)
	}
	if n > maxBatchGets {
		return invalid("Too many items requested for the BatchGetItem call")
	}
	return checkReturnCapacity(in.ReturnConsumedCapacity)
}

// BatchGetItemOutput is the result of BatchGetItem.
type BatchGetItemOutput struct {
	Responses        map[string][]Item
	UnprocessedKeys  map[string]KeysAndAttributes
	ConsumedCapacity []ConsumedCapacity `json:",omitempty"`
}

// WriteRequest is one put or delete of BatchWriteItem: exactly one is set.
type WriteRequest struct {
	PutRequest    *struct{ Item Item } `json:",omitempty"`
	DeleteRequest *struct{ Key Item }  `json:",omitempty"`
}

// BatchWriteItemInput is the request of BatchWriteItem.
type BatchWriteItemInput struct {
	RequestItems                map[string][]WriteRequest
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

// Check tests the request.
func (in *BatchWriteItemInput) Check() error {
	if len(in.RequestItems) == 0 {
		return invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	n := 0
	for table, writes := range in.RequestItems {
		if err := checkTableName(table); err != nil {
			return err
		}
		if len(writes) == 0 {
			return unmet("requestItems."+table, "[]", "have length greater than or equal to 1")
		}
		for _, w := range writes {
			if (w.PutRequest == nil) == (w.DeleteRequest == nil) {
				return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			}
			if w.PutRequest != nil && w.PutRequest.Item == nil {
				return missing("requestItems." + table + ".member.putRequest.item")
			}
			if w.DeleteRequest != nil && w.DeleteRequest.Key == nil {
				return missing("requestItems." + table + ".member.deleteRequest.key")
			}
		}
		n += len(writes)
	}
	if n > maxBatchPuts {
		return invalid("Too many items requested for the BatchWriteItem call")
	}
	return cmp.Or(checkReturnCapacity(in.ReturnConsumedCapacity),
		refuse(Member{"ReturnItemCollectionMetrics", in.ReturnItemCollectionMetrics == "SIZE"}))
}

// BatchWriteItemOutput is the result of BatchWriteItem, which leaves nothing
// unprocessed.
type BatchWriteItemOutput struct {
	UnprocessedItems map[string][]WriteRequest
	ConsumedCapacity []ConsumedCapacity `json:",omitempty"`
}

// TransactWriteItem is one operation of a transaction: exactly one is set.
type TransactWriteItem struct {
	ConditionCheck, Put, Update, Delete *Write
}

// TransactWriteItemsInput is the request of TransactWriteItems.
type TransactWriteItemsInput struct {
	TransactItems               []TransactWriteItem
	ClientRequestToken          string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

// Check tests the request.
func (in *TransactWriteItemsInput) Check() error {
	if err := checkTransaction(len(in.TransactItems)); err != nil {
		return err
	}
	if len(in.ClientRequestToken) > 36 {
		return unmet("clientRequestToken", in.ClientRequestToken, "have length less than or equal to 36")
	}
	for i := range in.TransactItems {
		if err := in.TransactItems[i].check(); err != nil {
			return err
		}
	}
	return cmp.Or(checkReturnCapacity(in.ReturnConsumedCapacity),
		refuse(Member{"ReturnItemCollectionMetrics", in.ReturnItemCollectionMetrics == "SIZE"}))
}

func (t *TransactWriteItem) check() error {
	set := 0
	var err error
	for _, w := range []*Write{t.ConditionCheck, t.Put, t.Update, t.Delete} {
		if w == nil {
			continue
		}
		set++
		if w == t.Put {
			err = w.check(w.Item, "transactItems.member.put.item")
		} else {
			err = w.check(w.Key, "transactItems.member.key")
		}
	}
	switch {
	case set != 1:
		return invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	case t.ConditionCheck != nil && t.ConditionCheck.ConditionExpression == nil:
		return missing("transactItems.member.conditionCheck.conditionExpression")
	case t.Update != nil && t.Update.UpdateExpression == nil:
		return missing("transactItems.member.update.updateExpression")
	}
	return err
}

func checkTransaction(operations int) error {
	if operations == 0 || operations > maxTransacted {
		return unmet("transactItems", "…", "have length between 1 and 100")
	}
	return nil
}

// TransactWriteItemsOutput is the result of TransactWriteItems.
type TransactWriteItemsOutput struct {
	ConsumedCapacity []ConsumedCapacity `json:",omitempty"`
}

// TransactGetItemsInput is the request of TransactGetItems.
type TransactGetItemsInput struct {
	TransactItems          []TransactGetItem
	ReturnConsumedCapacity string
}

// TransactGetItem is one read of a transaction.
type TransactGetItem struct{ Get *Get }

// Check tests the request.
func (in *TransactGetItemsInput) Check() error {
	if err := checkTransaction(len(in.TransactItems)); err != nil {
		return err
	}
	for _, t := range in.TransactItems {
		if t.Get == nil {
			return missing("transactItems.member.get")
		}
		if err := t.Get.check(); err != nil {
			return err
		}
	}
	return checkReturnCapacity(in.ReturnConsumedCapacity)
}

// TransactGetItemsOutput is the result of TransactGetItems: a response for each
// read, in order.
type TransactGetItemsOutput struct {
	Responses        []ItemResponse
	ConsumedCapacity []ConsumedCapacity `json:",omitempty"`
}

// ItemResponse is one of them; Item is nil when there is no such item.
type ItemResponse struct {
	Item Item `json:",omitzero"`
}

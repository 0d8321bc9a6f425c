package rule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// dynamoDBAction writes the rule's output into one attribute of an item.
type dynamoDBAction struct {
	external
	table, payload, operation *iotsql.Template
	hash, sort                *keyTemplate // sort is nil without a range key
}

// keyTemplate is one attribute of the item's key.
type keyTemplate struct{ name, kind, value *iotsql.Template }

// dynamoDBConfig is AWS IoT's DynamoDBAction.
type dynamoDBConfig struct {
	TableName     string `json:"tableName"`
	RoleARN       string `json:"roleArn"`
	Operation     string `json:"operation"`
	HashKeyField  string `json:"hashKeyField"`
	HashKeyValue  string `json:"hashKeyValue"`
	HashKeyType   string `json:"hashKeyType"`
	RangeKeyField string `json:"rangeKeyField"`
	RangeKeyValue string `json:"rangeKeyValue"`
	RangeKeyType  string `json:"rangeKeyType"`
	PayloadField  string `json:"payloadField"`
}

func compileDynamoDB(b *builder, config json.RawMessage) (action, error) {
	var c dynamoDBConfig
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	a := &dynamoDBAction{external: b.external(iot.DynamoDBOutbox, "DynamoAction", c.TableName)}
	var err error
	if a.table, err = b.needed("tableName", c.TableName); err != nil {
		return nil, err
	}
	if a.hash, err = b.key("hashKey", c.HashKeyField, c.HashKeyType, c.HashKeyValue); err != nil {
		return nil, err
	}
	if c.RangeKeyField != "" || c.RangeKeyValue != "" {
		if a.sort, err = b.key("rangeKey", c.RangeKeyField, c.RangeKeyType, c.RangeKeyValue); err != nil {
			return nil, err
		}
	}
	if a.payload, err = b.template("payloadField", cmp.Or(c.PayloadField, "payload")); err != nil {
		return nil, err
	}
	operation := cmp.Or(c.Operation, iot.InsertItem)
	if a.operation, err = b.template("operation", operation); err != nil {
		return nil, err
	}
	if !strings.Contains(operation, "${") {
		if err := checkOperation(operation); err != nil {
			return nil, err
		}
	}
	return a, checkRole(c.RoleARN)
}

func checkOperation(operation string) error {
	switch operation {
	case iot.InsertItem, iot.UpdateItem, iot.DeleteItem:
		return nil
	}
	return fmt.Errorf("operation %q is not INSERT, UPDATE or DELETE: %w", operation, iot.ErrInvalid)
}

// key compiles the field, type and value of a key attribute.
func (b *builder) key(which, field, kind, value string) (k *keyTemplate, err error) {
	k = new(keyTemplate)
	if k.name, err = b.needed(which+"Field", field); err != nil {
		return nil, err
	}
	if k.value, err = b.needed(which+"Value", value); err != nil {
		return nil, err
	}
	kind = cmp.Or(kind, "STRING")
	if !strings.Contains(kind, "${") && kind != "STRING" && kind != "NUMBER" {
		return nil, fmt.Errorf("%sType %q is not STRING or NUMBER: %w", which, kind, iot.ErrInvalid)
	}
	k.kind, err = b.template(which+"Type", kind)
	return k, err
}

// addTo sets the key attribute in an item, and returns its value as text.
func (k *keyTemplate) addTo(item ddb.Item, r *run) (string, error) {
	name, err := r.expand("key field", k.name)
	if err != nil {
		return "", err
	}
	if _, taken := item[name]; taken {
		return "", fmt.Errorf("rangeKeyField %q is the hashKeyField: %w", name, iot.ErrInvalid)
	}
	kind, err := r.expand("key type", k.kind)
	if err != nil {
		return "", err
	}
	text, err := r.expand("key value of "+name, k.value)
	if err != nil {
		return "", err
	}
	switch kind {
	case "STRING":
		item[name] = ddb.String(text)
	case "NUMBER":
		if item[name], err = ddb.Number(text); err != nil {
			return "", fmt.Errorf("key value of %s: %w", name, err)
		}
	default:
		return "", fmt.Errorf("key type %q of %s is not STRING or NUMBER: %w", kind, name, iot.ErrInvalid)
	}
	return text, nil
}

func (a *dynamoDBAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	table, err := r.expand("tableName", a.table)
	if err != nil {
		return dst, err
	}
	operation, err := r.expand("operation", a.operation)
	if err == nil {
		err = checkOperation(operation)
	}
	if err != nil {
		return dst, err
	}
	key := make(ddb.Item, 2)
	order, err := a.hash.addTo(key, r)
	if err != nil {
		return dst, err
	}
	if a.sort != nil {
		sort, err := a.sort.addTo(key, r)
		if err != nil {
			return dst, err
		}
		order += " " + sort
	}
	write := iot.WriteItem{Table: table, Operation: operation, Key: key.AppendJSON(nil)}
	if operation != iot.DeleteItem {
		if write.Item, err = a.item(r, key); err != nil {
			return dst, err
		}
	}
	return a.record(dst, r, order, write)
}

// item is the attribute that holds the output: a map of JSON, or binary.
func (a *dynamoDBAction) item(r *run, key ddb.Item) (json.RawMessage, error) {
	field, err := r.expand("payloadField", a.payload)
	if err != nil {
		return nil, err
	}
	if _, taken := key[field]; taken {
		return nil, fmt.Errorf("payloadField %q is a field of the key: %w", field, iot.ErrInvalid)
	}
	value := ddb.Binary(r.output)
	if json.Valid(r.output) {
		if value, err = ddb.FromJSON(r.output); err != nil {
			return nil, err
		}
	}
	return ddb.Item{field: value}.AppendJSON(nil), nil
}

// dynamoDBv2Action writes each member of the rule's output into an attribute of its
// own.
type dynamoDBv2Action struct {
	external
	table *iotsql.Template
}

func compileDynamoDBv2(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		RoleARN string `json:"roleArn"`
		PutItem struct {
			TableName string `json:"tableName"`
		} `json:"putItem"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	table, err := b.needed("putItem.tableName", c.PutItem.TableName)
	if err != nil {
		return nil, err
	}
	return &dynamoDBv2Action{b.external(iot.DynamoDBOutbox, "DynamoDBv2Action", c.PutItem.TableName), table}, checkRole(c.RoleARN)
}

func (a *dynamoDBv2Action) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	table, err := r.expand("putItem.tableName", a.table)
	if err != nil {
		return dst, err
	}
	value, err := ddb.FromJSON(r.output)
	if err != nil || value.Kind() != ddb.KindMap || value.Len() == 0 {
		return dst, fmt.Errorf("the rule's output is no JSON object with members, which an item is made of: %w", iot.ErrInvalid)
	}
	// Which members are the key is the table's to say: the sender's order holds.
	return a.record(dst, r, r.sender(), iot.WriteItem{Table: table, Operation: iot.InsertItem, Item: value.Members().AppendJSON(nil)})
}

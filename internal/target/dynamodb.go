package target

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// attributes is an item as the client library has it.
type attributes = map[string]types.AttributeValue

// writeItem performs an [iot.WriteItem].
func (t *Targets) writeItem(ctx context.Context, e iot.OutboxEntry) error {
	task, request, err := parse[iot.WriteItem](e)
	if err != nil {
		return err
	}
	if request.Table == "" {
		return missing(task, "a table's name")
	}
	key, err := attributesOf(task, "key", request.Key)
	if err != nil {
		return err
	}
	item, err := attributesOf(task, "item", request.Item)
	if err != nil {
		return err
	}
	of := subject{DynamoDB, "DynamoDB table " + excerpt(request.Table), t.at(DynamoDB)}
	client := clientOf(t.clients, of, func(c aws.Config) *dynamodb.Client { return dynamodb.NewFromConfig(c) })
	var write func(ctx context.Context) error
	switch {
	case request.Operation == iot.InsertItem:
		maps.Copy(item, key)
		if len(item) == 0 {
			return missing(task, "attributes")
		}
		write = func(ctx context.Context) error {
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &request.Table, Item: item})
			return err
		}
	case request.Operation != iot.UpdateItem && request.Operation != iot.DeleteItem:
		return fmt.Errorf("operation %q of rule %s: want %s, %s or %s: %w", excerpt(request.Operation), task.Rule, iot.InsertItem, iot.UpdateItem, iot.DeleteItem, iot.ErrInvalid)
	case len(key) == 0:
		return missing(task, "the key of the item to "+strings.ToLower(request.Operation))
	case request.Operation == iot.UpdateItem:
		in := update(request.Table, key, item)
		write = func(ctx context.Context) error {
			_, err := client.UpdateItem(ctx, in)
			return err
		}
	default:
		write = func(ctx context.Context) error {
			_, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &request.Table, Key: key})
			return err
		}
	}
	return t.call(ctx, of, write)
}

// update sets each attribute of item in the item of the key. Names are
// placeholders, since any name may be a reserved word.
func update(table string, key, item attributes) *dynamodb.UpdateItemInput {
	in := &dynamodb.UpdateItemInput{TableName: &table, Key: key}
	if len(item) == 0 {
		return in // it makes the item when there is none
	}
	in.ExpressionAttributeNames = make(map[string]string, len(item))
	in.ExpressionAttributeValues = make(attributes, len(item))
	var expression strings.Builder
	for i, name := range slices.Sorted(maps.Keys(item)) {
		n := strconv.Itoa(i)
		in.ExpressionAttributeNames["#"+n] = name
		in.ExpressionAttributeValues[":"+n] = item[name]
		if i == 0 {
			expression.WriteString("SET #0=:0")
		} else {
			expression.WriteString(",#" + n + "=:" + n)
		}
	}
	in.UpdateExpression = aws.String(expression.String())
	return in
}

// attributesOf reads an object in DynamoDB's JSON; without a text there are none.
func attributesOf(task *iot.Task, what string, text json.RawMessage) (attributes, error) {
	var item ddb.Item
	if len(text) > 0 {
		if err := json.Unmarshal(text, &item); err != nil {
			return nil, fmt.Errorf("%s of rule %s in DynamoDB's JSON: %w: %w", what, task.Rule, err, iot.ErrInvalid)
		}
	}
	return members(item), nil
}

func members(item ddb.Item) attributes {
	all := make(attributes, len(item))
	for name, v := range item {
		all[name] = attribute(v)
	}
	return all
}

// attribute is a value as the client library has it.
func attribute(v ddb.Value) types.AttributeValue {
	texts := func() []string {
		all := make([]string, 0, len(v.Elements()))
		for _, e := range v.Elements() {
			all = append(all, e.Text())
		}
		return all
	}
	switch v.Kind() {
	case ddb.KindString:
		return &types.AttributeValueMemberS{Value: v.Text()}
	case ddb.KindNumber:
		return &types.AttributeValueMemberN{Value: v.Text()}
	case ddb.KindBinary:
		return &types.AttributeValueMemberB{Value: v.Bytes()}
	case ddb.KindBool:
		return &types.AttributeValueMemberBOOL{Value: v.Truth()}
	case ddb.KindMap:
		return &types.AttributeValueMemberM{Value: members(v.Members())}
	case ddb.KindStringSet:
		return &types.AttributeValueMemberSS{Value: texts()}
	case ddb.KindNumberSet:
		return &types.AttributeValueMemberNS{Value: texts()}
	case ddb.KindBinarySet:
		all := make([][]byte, 0, len(v.Elements()))
		for _, e := range v.Elements() {
			all = append(all, e.Bytes())
		}
		return &types.AttributeValueMemberBS{Value: all}
	case ddb.KindList:
		all := make([]types.AttributeValue, 0, len(v.Elements()))
		for _, e := range v.Elements() {
			all = append(all, attribute(e))
		}
		return &types.AttributeValueMemberL{Value: all}
	}
	return &types.AttributeValueMemberNULL{Value: true}
}

package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

const (
	// lifetime is when a connection's item expires: API Gateway ends a connection
	// after two hours.
	lifetime = 2*time.Hour + 10*time.Minute
	// maxFollows bounds the devices that one connection follows.
	maxFollows = 100
)

// Put stores a connection.
func (t *Tables) Put(ctx context.Context, c iot.Connection) error {
	it := item{
		"connectionId": text(c.ID),
		"connectedAt":  integer(c.ConnectedAt.UnixMilli()),
		"expires_at":   integer(c.ConnectedAt.Add(lifetime).Unix()),
	}
	if c.SourceIP != "" {
		it["sourceIp"] = text(c.SourceIP)
	}
	if c.UserAgent != "" {
		it["userAgent"] = text(c.UserAgent)
	}
	if _, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.connections, Item: it}); err != nil {
		return failed(fmt.Sprintf("put connection %q", c.ID), t.connections, err)
	}
	return nil
}

// Delete removes a connection. One that is not there is no error.
func (t *Tables) Delete(ctx context.Context, id string) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.connections, Key: item{"connectionId": text(id)}})
	if err != nil {
		return failed(fmt.Sprintf("delete connection %q", id), t.connections, err)
	}
	return nil
}

// settling is how long a connection may answer that it is gone because its
// $connect is still under way: the longest that API Gateway waits for it.
const settling = 30 * time.Second

// DeleteGone removes a connection of which API Gateway says that it is gone. One
// that has just been stored stays: API Gateway says the same of it until OnConnect
// has answered.
func (t *Tables) DeleteGone(ctx context.Context, id string) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &t.connections, Key: item{"connectionId": text(id)},
		ConditionExpression:       aws.String("attribute_not_exists(connectedAt) OR connectedAt < :settled"),
		ExpressionAttributeValues: item{":settled": integer(t.now().Add(-settling).UnixMilli())},
	})
	if _, young := errors.AsType[*types.ConditionalCheckFailedException](err); err != nil && !young {
		return failed(fmt.Sprintf("delete connection %q", id), t.connections, err)
	}
	return nil
}

// Follow implements [telemetry.Follows]. A connection follows at most 100 devices.
func (t *Tables) Follow(ctx context.Context, connection, device string) error {
	return t.narrow(ctx, connection, &dynamodb.UpdateItemInput{
		UpdateExpression: aws.String("SET narrowed = :true ADD follows :devices"),
		ConditionExpression: aws.String("attribute_exists(connectionId) AND " +
			"(attribute_not_exists(follows) OR contains(follows, :device) OR size(follows) < :max)"),
		ExpressionAttributeValues: item{
			":true": &types.AttributeValueMemberBOOL{Value: true}, ":devices": &types.AttributeValueMemberSS{Value: []string{device}},
			":device": text(device), ":max": integer(maxFollows),
		},
	})
}

// Unfollow implements [telemetry.Follows].
func (t *Tables) Unfollow(ctx context.Context, connection, device string) error {
	return t.narrow(ctx, connection, &dynamodb.UpdateItemInput{
		UpdateExpression:    aws.String("SET narrowed = :true DELETE follows :devices"),
		ConditionExpression: aws.String("attribute_exists(connectionId)"),
		ExpressionAttributeValues: item{
			":true": &types.AttributeValueMemberBOOL{Value: true}, ":devices": &types.AttributeValueMemberSS{Value: []string{device}},
		},
	})
}

// narrow updates a connection that must be there.
func (t *Tables) narrow(ctx context.Context, connection string, in *dynamodb.UpdateItemInput) error {
	in.TableName, in.Key = &t.connections, item{"connectionId": text(connection)}
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	_, err := t.client.UpdateItem(ctx, in)
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if len(refused.Item) > 0 {
			return fmt.Errorf("connection %q follows %d devices: %w", connection, maxFollows, iot.ErrLimit)
		}
		return fmt.Errorf("connection %q: %w", connection, iot.ErrNotFound)
	}
	if err != nil {
		return failed(fmt.Sprintf("update connection %q", connection), t.connections, err)
	}
	return nil
}

// Followers visits every connection, page after page, until visit returns false.
func (t *Tables) Followers(ctx context.Context, visit func(telemetry.Follower) bool) error {
	in := &dynamodb.ScanInput{
		TableName:                 &t.connections,
		ProjectionExpression:      aws.String("connectionId, narrowed, follows"),
		FilterExpression:          aws.String(unexpired),
		ExpressionAttributeValues: item{":now": integer(t.now().Unix())},
	}
	for {
		out, err := t.client.Scan(ctx, in)
		if err != nil {
			return failed("scan the connections", t.connections, err)
		}
		for _, it := range out.Items {
			if !visit(followerOf(it)) {
				return nil
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return nil
		}
	}
}

func followerOf(it item) telemetry.Follower {
	f := telemetry.Follower{ID: stringIn(it, "connectionId"), Listening: true}
	if narrowed, ok := it["narrowed"].(*types.AttributeValueMemberBOOL); ok && narrowed.Value {
		f.Listening = false
	}
	if set, ok := it["follows"].(*types.AttributeValueMemberSS); ok {
		f.Devices = set.Value
	}
	return f
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// AWS's limits of what a rule's statement calls.
const (
	lambdaPatience = 2 * time.Second // of aws_lambda
	maxCalledItem  = 8 << 10         // bytes of get_dynamodb's item
)

// call performs a call out of a rule's statement.
func (s *Server) call(ctx context.Context, ruleARN string, origin iot.Origin, c iotsql.Call) (json.RawMessage, error) {
	if c.Function == "aws_lambda" {
		return s.callLambda(ctx, ruleARN, origin, c.Args)
	}
	return s.look(c)
}

// look performs a call that only reads.
func (s *Server) look(c iotsql.Call) (json.RawMessage, error) {
	texts, err := callTexts(c)
	if err != nil {
		return nil, err
	}
	switch c.Function {
	case "get_registry_data":
		return s.registryData(texts[0], texts[1])
	case "get_dynamodb":
		return s.tableItem(texts, c.Args)
	}
	return nil, fmt.Errorf("%s(): %w", c.Function, iot.ErrUnsupported)
}

// callTexts are a call's arguments that are Strings; those of others are "".
func callTexts(c iotsql.Call) ([]string, error) {
	texts := make([]string, len(c.Args))
	for i, arg := range c.Args {
		if len(arg) > 0 && arg[0] == '"' {
			if err := json.Unmarshal(arg, &texts[i]); err != nil {
				return nil, fmt.Errorf("%s: argument %d: %w: %w", c.Function, i+1, err, iot.ErrInvalid)
			}
		}
	}
	return texts, nil
}

// callLambda invokes a function, which must let the rule invoke it.
func (s *Server) callLambda(ctx context.Context, ruleARN string, origin iot.Origin, args []json.RawMessage) (json.RawMessage, error) {
	var arn string
	if err := json.Unmarshal(args[0], &arn); err != nil {
		return nil, fmt.Errorf("the ARN %s is no String: %w", args[0], iot.ErrInvalid)
	}
	resource, err := s.cfg.Account.Resource("lambda", arn)
	if err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(resource, "function:")
	name, _, _ = strings.Cut(name, ":") // a version or alias
	if !ok || name == "" {
		return nil, fmt.Errorf("%s is no ARN of a function: %w", arn, iot.ErrInvalid)
	}
	if err := s.functions.AllowRule(name, ruleARN); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, lambdaPatience)
	defer stop()
	if s.functions.Inline(name) {
		return s.callInline(ctx, name, origin, args[1])
	}
	answer, err := s.functions.Invoke(ctx, iot.Invocation{Function: name, Event: args[1]})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not answer within %s: %w", name, lambdaPatience, iot.ErrLimit)
	case err != nil:
		return nil, err
	case answer.Error != "":
		return nil, fmt.Errorf("%s failed: %s", name, answer.Payload)
	}
	return answer.Payload, nil
}

// callInline has the built-in ProcessIoTData store a reading in the name of who sent
// the message, as a lambda action has: a device reports for itself only.
func (s *Server) callInline(ctx context.Context, name string, origin iot.Origin, event []byte) (json.RawMessage, error) {
	effects, err := s.functions.Evaluate(name, nil, event, origin)
	if err != nil {
		// It is the event that is refused, even for its device: denied means that the
		// rule may not invoke the function.
		return nil, fmt.Errorf("%s refused: %v: %w", name, err, iot.ErrInvalid)
	}
	if err := s.ingest.Apply(ctx, effects...); err != nil {
		return nil, err
	}
	return json.RawMessage(telemetry.Processed), nil
}

// tableItem is the item that get_dynamodb(table, key, value[, key, value], role)
// asks for, as plain JSON; nil when there is none.
func (s *Server) tableItem(texts []string, args []json.RawMessage) (json.RawMessage, error) {
	key := make(ddb.Item, 2)
	for i := 1; i+1 < len(args)-1; i += 2 {
		value, err := ddb.FromJSON(args[i+1])
		if err != nil {
			return nil, fmt.Errorf("the value of %s: %w", texts[i], err)
		}
		key[texts[i]] = value
	}
	in := ddb.GetItemInput{ConsistentRead: true}
	in.TableName, in.Key = texts[0], key
	found, err := s.tables.GetItem(&in)
	if err != nil || found.Item == nil {
		return nil, err
	}
	item := ddb.Map(found.Item).AppendPlain(nil)
	if len(item) > maxCalledItem {
		return nil, fmt.Errorf("the item of table %s has %d bytes, at most %d may be used: %w", texts[0], len(item), maxCalledItem, iot.ErrLimit)
	}
	return item, nil
}

// registryData is what the registry knows of a thing; nil when it has none of that
// name. Things are in no groups, for there are none.
func (s *Server) registryData(operation, thing string) (json.RawMessage, error) {
	if operation != "DescribeThing" && operation != "ListThingGroupsForThing" {
		return nil, fmt.Errorf("get_registry_data(%q): %w", operation, iot.ErrUnsupported)
	}
	t, err := s.store.Thing(thing)
	if errors.Is(err, iot.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if operation == "ListThingGroupsForThing" {
		return json.RawMessage(`{"thingGroups":[]}`), nil
	}
	attributes := t.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	return json.Marshal(struct {
		ClientID   string            `json:"defaultClientId"`
		Name       string            `json:"thingName"`
		ID         string            `json:"thingId"`
		ARN        string            `json:"thingArn"`
		Type       string            `json:"thingTypeName,omitempty"`
		Attributes map[string]string `json:"attributes"`
		Version    int64             `json:"version"`
	}{t.Name, t.Name, t.ID, s.cfg.Account.ARN("iot", "thing/"+t.Name), t.Type, attributes, t.Version})
}

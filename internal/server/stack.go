package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/rule"
	"github.com/fieldline-iot/fieldline/internal/store"
)

// The names of the guide's stack.
const (
	BasicPolicy  = "IoTBasicPolicy"   // what provisioned devices may do
	PlainPolicy  = "PlainMqtt"        // what clients of the plain listener may do
	GuideRule    = "SendToLambdaRule" // hands readings to ProcessIoTData
	GuideTopic   = "sensor/data"
	guideSQL     = "SELECT * FROM '" + GuideTopic + "'"
	iotInvoke    = "iot-invoke"
	sqlVersion   = "2016-03-23"
	lambdaInvoke = "lambda:InvokeFunction"
)

// ensureStack creates the guide's stack on an empty data folder: policy, rule
// and the rule's permission. It may be repeated after a start that was cut short.
func ensureStack(s *store.Store, rules *rule.Engine, functions *function.Catalog, account iot.Account) error {
	config, err := json.Marshal(map[string]string{"functionArn": account.ARN("lambda", "function:"+function.ProcessIoTData)})
	if err != nil {
		return err
	}
	err = rules.Create(iot.Rule{
		Name: GuideRule, SQL: guideSQL, SQLVersion: sqlVersion, Created: time.Now(),
		Description: "Hands every reading to " + function.ProcessIoTData,
		Actions:     []iot.Action{{Kind: "lambda", Config: config}},
	})
	if err != nil && !errors.Is(err, iot.ErrExists) {
		return err
	}
	err = functions.PutPermission(iot.Permission{
		Function: function.ProcessIoTData, StatementID: iotInvoke, Action: lambdaInvoke,
		Principal: "iot.amazonaws.com", SourceARN: account.ARN("iot", "rule/"+GuideRule),
	})
	if err != nil && !errors.Is(err, iot.ErrExists) {
		return err
	}
	return ensurePolicy(s, BasicPolicy, policy.BasicDocument(account))
}

// ensurePolicy creates a policy unless there is one of its name.
func ensurePolicy(s *store.Store, name, document string) error {
	now := time.Now()
	err := s.CreatePolicy(iot.Policy{
		Name: name, Created: now, Modified: now, NextID: 2,
		Versions: []iot.PolicyVersion{{ID: "1", Document: document, Default: true, Created: now}},
	})
	if err != nil && !errors.Is(err, iot.ErrExists) {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	return nil
}

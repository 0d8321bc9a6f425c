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
	SignedPolicy = "SignedMqtt"       // what clients of MQTT over WebSocket, signed with the access key, may do
	GuideRule    = "SendToLambdaRule" // hands readings to ProcessIoTData
	GuideTopic   = "sensor/data"
	guideSQL     = "SELECT * FROM '" + GuideTopic + "'"
	iotInvoke    = "iot-invoke"
	sqlVersion   = "2016-03-23"
	lambdaInvoke = "lambda:InvokeFunction"
)

// What the section "server" of the store says under stackKey: how the data folder
// began.
const (
	stackKey     = "stack"
	beganGuide   = "guide"
	beganNothing = "empty"
)

// buildStack makes a fresh data folder the guide's, unless it is to begin empty,
// and the access key. Later starts keep to what the folder began as, whatever
// Config.Empty says then.
func (s *Server) buildStack() (err error) {
	if err := s.beginStack(); err != nil {
		return fmt.Errorf("creating the guide's stack: %w", err)
	}
	if s.cfg.MQTTAddr != "" {
		if err := ensurePolicy(s.store, PlainPolicy, policy.PlainDocument()); err != nil {
			return err
		}
	}
	s.credentials, err = ensureCredentials(s.cfg.Data)
	return err
}

// beginStack finds out how the data folder began, or has it begin.
func (s *Server) beginStack() error {
	section := s.store.Section("server")
	began, err := section.Get([]byte(stackKey))
	if err == nil {
		s.guide = string(began) == beganGuide
		return nil
	}
	if !errors.Is(err, iot.ErrNotFound) {
		return err
	}
	s.guide = !s.cfg.Empty
	word := beganNothing
	if s.guide {
		word = beganGuide
		if err := errors.Join(ensureStack(s.store, s.rules, s.functions, s.cfg.Account), s.ensureTables()); err != nil {
			return err
		}
	}
	// Last: its presence says that the rest is complete.
	return section.Apply([]iot.Write{{Key: []byte(stackKey), Value: []byte(word)}}, true)
}

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

// ensurePolicy creates a policy unless there is one of its name. It looks first:
// on a full disk there is nothing to create, and starting must not fail.
func ensurePolicy(s *store.Store, name, document string) error {
	_, err := s.Policy(name)
	if err == nil {
		return nil
	}
	now := time.Now()
	err = s.CreatePolicy(iot.Policy{
		Name: name, Created: now, Modified: now, NextID: 2,
		Versions: []iot.PolicyVersion{{ID: "1", Document: document, Default: true, Created: now}},
	})
	if err != nil && !errors.Is(err, iot.ErrExists) {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	return nil
}

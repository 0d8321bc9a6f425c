package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/itchyny/gojq"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// engine is a compiled statement: from a payload's JSON to the result's, which is
// nil when a filter drops the payload. An engine serves one goroutine.
type engine func(payload []byte) ([]byte, error)

// versions names the engines.
func versions() []string {
	names := []string{"fieldline"}
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if strings.HasSuffix(m.Path, "/gojq") || strings.HasSuffix(m.Path, "/expr") {
			names = append(names, m.Path[strings.LastIndexByte(m.Path, '/')+1:]+" "+m.Version)
		}
	}
	return names
}

func none([]byte) ([]byte, error) { return nil, errNone }

func compileFieldline(s statement) (engine, error) {
	parsed, err := iotsql.Parse(s.sql, "2016-03-23")
	if err != nil {
		return nil, err
	}
	env := &iotsql.Env{Message: &iot.Message{Topic: "sensor/data"}}
	return func(payload []byte) ([]byte, error) {
		env.Message.Payload = payload
		result, err := parsed.Eval(env)
		if err != nil || !result.Fired {
			return nil, err
		}
		return result.Payload, nil
	}, nil
}

func compileJQ(s statement) (engine, error) {
	if s.jq == "" {
		return none, nil
	}
	query, err := gojq.Parse(s.jq)
	if err != nil {
		return nil, fmt.Errorf("gojq: %w", err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("gojq: %w", err)
	}
	return func(payload []byte) ([]byte, error) {
		var in any
		if err := json.Unmarshal(payload, &in); err != nil {
			return nil, err
		}
		out, ok := code.Run(in).Next()
		if err, failed := out.(error); failed || !ok {
			return nil, errors.Join(errors.New("gojq gives nothing"), err)
		}
		if s.filter {
			return passed(payload, out)
		}
		return gojq.Marshal(out)
	}, nil
}

func compileExpr(s statement) (engine, error) {
	if s.expr == "" {
		return none, nil
	}
	// The language has no way to add a member to a map.
	with := expr.Function("with", func(args ...any) (any, error) {
		m := maps.Clone(args[0].(map[string]any))
		m[args[1].(string)] = args[2]
		return m, nil
	}, new(func(map[string]any, string, any) map[string]any))
	program, err := expr.Compile(s.expr, expr.Env(map[string]any{}), expr.AllowUndefinedVariables(), with)
	if err != nil {
		return nil, fmt.Errorf("expr: %w", err)
	}
	var machine vm.VM
	return func(payload []byte) ([]byte, error) {
		var in map[string]any
		if err := json.Unmarshal(payload, &in); err != nil {
			return nil, err
		}
		out, err := machine.Run(program, in)
		if err != nil {
			return nil, err
		}
		if s.filter {
			return passed(payload, out)
		}
		return json.Marshal(out)
	}, nil
}

func passed(payload []byte, decision any) ([]byte, error) {
	if decision == true {
		return payload, nil
	}
	return nil, nil
}

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fieldline": main})
}

// TestScripts runs testdata/script: the specification of the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Every server of a script binds free ports and keeps its data in $WORK/data.
			for _, v := range [][2]string{
				{"FIELDLINE_DATA", env.WorkDir + "/data"},
				{"FIELDLINE_DEVICE_ADDR", "127.0.0.1:0"},
				{"FIELDLINE_DEVICE_HTTPS_ADDR", "127.0.0.1:0"},
				{"FIELDLINE_GATEWAY_ADDR", "127.0.0.1:0"},
				{"FIELDLINE_CONTROL_ADDR", "127.0.0.1:0"},
				{"AWS_REGION", ""},
				{"ACCOUNT_ID", ""},
			} {
				env.Setenv(v[0], v[1])
			}
			env.Values[hookKey{}] = new(*hookBodies)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready":      ready,
			"eventually": eventually,
			"hook":       hook, "confirmation": confirmation, "fetch": fetch,
		},
	})
}

// scriptPatience bounds the waits of scripts.
const scriptPatience = 30 * time.Second

// ready FILE waits for a ready file and makes its addresses the environment's:
// FIELDLINE_CONTROL_ADDR and FIELDLINE_GATEWAY_ADDR, and DEVICE, HTTPS and MQTT.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	var a map[string]string
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && json.Unmarshal(text, &a) == nil {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no ready file: %v", err)
		}
	}
	for name, key := range map[string]string{
		"FIELDLINE_CONTROL_ADDR": "control", "FIELDLINE_GATEWAY_ADDR": "gateway", "DEVICE": "device", "HTTPS": "device_https", "MQTT": "mqtt",
	} {
		ts.Setenv(name, a[key])
	}
}

// eventually TEXT COMMAND… runs a command until its output holds the text.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT COMMAND …")
	}
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...) // it may fail until it holds
		if out := ts.ReadFile("stdout") + ts.ReadFile("stderr"); strings.Contains(out, args[0]) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("%q never appeared in:\n%s", args[0], out)
		}
	}
}

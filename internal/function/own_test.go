package function

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The test binary is its own bootstrap: with this variable it is a function that
// does what its event says.
const asBootstrap = "FUNCTION_TEST_BOOTSTRAP"

func TestMain(m *testing.M) {
	if os.Getenv(asBootstrap) == "" {
		os.Exit(m.Run())
	}
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			os.Exit(1)
		}
		event, _ := io.ReadAll(next.Body)
		id, verdict := next.Header.Get("Lambda-Runtime-Aws-Request-Id"), "/response"
		var do string
		_ = json.Unmarshal(event, &do)
		answer := fmt.Sprintf("%q", os.Getenv("GREETING")+" "+os.Getenv("AWS_ENDPOINT_URL"))
		switch do {
		case "crash":
			os.Exit(3)
		case "hang":
			time.Sleep(time.Hour)
		case "fail":
			verdict, answer = "/error", `{"errorMessage":"no","errorType":"Refused"}`
		}
		fmt.Println("did", do)
		_, _ = http.Post(api+id+verdict, "application/json", strings.NewReader(answer))
	}
}

// file is one file of a zip.
type file struct {
	name, text string
	mode       os.FileMode
}

func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, f.text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bootstrapZip is a deployment package of the test function, without mode bits.
func bootstrapZip(t testing.TB, greeting string) []byte {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, file{name: "bootstrap", text: "#!/bin/sh\n" + asBootstrap + "=1 GREETING=" + greeting + " exec " + binary + "\n"})
}

func named(name string) iot.Function {
	return iot.Function{Name: name, Runtime: "provided.al2023", Handler: "bootstrap", Role: "arn:aws:iam::123456789012:role/r"}
}

func create(t *testing.T, c *Catalog, f iot.Function, archive []byte) iot.Function {
	t.Helper()
	f, err := c.CreateFunction(f, archive)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func invoke(t *testing.T, c *Catalog, name, event string) iot.Answer {
	t.Helper()
	answer, err := c.Invoke(t.Context(), iot.Invocation{Function: name, Event: []byte(event)})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestOwnCodeStandsInForABuiltIn(t *testing.T) {
	c := newCatalog(t)
	if !c.BuiltIn(ProcessIoTData) || !c.Inline(ProcessIoTData) {
		t.Fatal("ProcessIoTData is not built in at first")
	}
	if err := c.PutPermission(iot.Permission{Function: ProcessIoTData, StatementID: "iot", Action: "lambda:InvokeFunction", Principal: "iot.amazonaws.com"}); err != nil {
		t.Fatal(err)
	}
	create(t, c, named(ProcessIoTData), bootstrapZip(t, "mine"))
	if c.BuiltIn(ProcessIoTData) || c.Inline(ProcessIoTData) {
		t.Error("the built-in stands beside the code that replaced it")
	}
	if got := invoke(t, c, ProcessIoTData, `""`); string(got.Payload) != `"mine "` {
		t.Errorf("answer %+v", got)
	}
	if _, err := c.CreateFunction(named(ProcessIoTData), bootstrapZip(t, "again")); !errors.Is(err, iot.ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	if err := c.DeleteFunction(ProcessIoTData); err != nil {
		t.Fatal(err)
	}
	if !c.Inline(ProcessIoTData) {
		t.Error("the built-in did not come back")
	}
	if err := c.AllowRule(ProcessIoTData, "arn"); err != nil {
		t.Errorf("the built-in came back without its permission: %v", err)
	}
	if err := c.DeleteFunction(ProcessIoTData); !errors.Is(err, iot.ErrUnsupported) {
		t.Errorf("a built-in was deleted: %v", err)
	}
}

func TestFunctionsAreFoundAgainAfterARestart(t *testing.T) {
	cfg := config(t)
	cfg.Platform = func() map[string]string { return map[string]string{"AWS_ENDPOINT_URL": "http://here"} }
	first, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := named("hello")
	f.Tags = map[string]string{"team": "line 3"}
	created := create(t, first, f, bootstrapZip(t, "first"))
	if err := first.PutPermission(iot.Permission{Function: "hello", StatementID: "s", Action: "*", Principal: "iot.amazonaws.com"}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(cfg.Dir, "hello", "upload-1")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	second := open(t, cfg)
	got, err := second.Function("hello")
	if err != nil || got.Revision != created.Revision || got.Tags["team"] != "line 3" || got.CodeSHA256 != created.CodeSHA256 {
		t.Errorf("%+v, %v", got, err)
	}
	if answer := invoke(t, second, "hello", `""`); string(answer.Payload) != `"first http://here"` {
		t.Errorf("answer %+v", answer)
	}
	if err := second.AllowRule("hello", "arn"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stray); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what an upload left is still there: %v", err)
	}
}

func TestUpdateTakesOverAndOldCodeGoes(t *testing.T) {
	cfg := config(t)
	c := open(t, cfg)
	f := create(t, c, named("hello"), bootstrapZip(t, "old"))
	invoke(t, c, "hello", `""`)
	if _, err := c.UpdateCode("hello", "another revision", bootstrapZip(t, "new"), false); !errors.Is(err, iot.ErrVersionConflict) {
		t.Errorf("another revision: %v", err)
	}
	if _, err := c.UpdateCode("hello", f.Revision, bootstrapZip(t, "new"), true); err != nil {
		t.Fatal(err)
	}
	if got := invoke(t, c, "hello", `""`); string(got.Payload) != `"old "` {
		t.Errorf("a dry run changed the code: %+v", got)
	}
	if _, err := c.UpdateCode("hello", f.Revision, bootstrapZip(t, "new"), false); err != nil {
		t.Fatal(err)
	}
	if got := invoke(t, c, "hello", `""`); string(got.Payload) != `"new "` {
		t.Errorf("answer %+v", got)
	}
	c.background.Wait()
	for _, pattern := range []string{filepath.Join(cfg.Dir, "hello", "*"), filepath.Join(cfg.Dir, ".unpacked", "hello-*")} {
		if left, _ := filepath.Glob(pattern); len(left) != 1 {
			t.Errorf("%s has %v", pattern, left)
		}
	}
}

func TestInvocationUnderWayEndsOnItsOwnVersion(t *testing.T) {
	c := newCatalog(t)
	create(t, c, named("hello"), bootstrapZip(t, "old"))
	v := c.entry("hello").own
	if err := v.begin(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateCode("hello", "", bootstrapZip(t, "new"), false); err != nil {
		t.Fatal(err)
	}
	pool, err := v.open()
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := pool.Invoke(t.Context(), iot.Invocation{Function: "hello", Event: []byte(`""`)}); err != nil || string(answer.Payload) != `"old "` {
		t.Errorf("%+v, %v", answer, err)
	}
	v.end()
	if err := v.begin(); !errors.Is(err, errReplaced) {
		t.Errorf("the old version takes more: %v", err)
	}
}

func TestFailuresAreAnswers(t *testing.T) {
	c := newCatalog(t)
	f := named("hello")
	f.Timeout = 1
	create(t, c, f, bootstrapZip(t, "hi"))
	for event, want := range map[string]string{
		`"crash"`: "Runtime.ExitError", `"hang"`: "Sandbox.Timedout", `"fail"`: "Refused",
	} {
		if got := invoke(t, c, "hello", event); got.Error != "Unhandled" || !strings.Contains(string(got.Payload), want) {
			t.Errorf("%s answers %s %s", event, got.Error, got.Payload)
		}
	}
	if got := invoke(t, c, "hello", `""`); got.Error != "" {
		t.Errorf("after the failures: %+v", got)
	}
	if got := invoke(t, c, OnConnect, `{}`); got.Error != "Unhandled" || !strings.Contains(string(got.Payload), "connectionId") {
		t.Errorf("a built-in's failure is %+v", got)
	}
}

func TestReservedConcurrencyOfNoneThrottles(t *testing.T) {
	c := newCatalog(t)
	create(t, c, named("hello"), bootstrapZip(t, "hi"))
	reserve := func(n int) error {
		_, err := c.UpdateFunction("hello", "", func(f *iot.Function) error { f.Reserved = &n; return nil })
		return err
	}
	if err := reserve(0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Invoke(t.Context(), iot.Invocation{Function: "hello", Event: []byte(`""`)}); !errors.Is(err, iot.ErrOverloaded) {
		t.Errorf("Invoke = %v", err)
	}
	if err := reserve(901); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("more than the account has: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	good := bootstrapZip(t, "hi")
	tests := []struct {
		name   string
		change func(*iot.Function)
		code   []byte
		want   error
		says   string
	}{
		{"a name with a slash", func(f *iot.Function) { f.Name = "../up" }, good, iot.ErrInvalid, "function name"},
		{"a runtime that is not here", func(f *iot.Function) { f.Runtime = "nodejs22.x" }, good, iot.ErrUnsupported, "nodejs22.x"},
		{"no handler", func(f *iot.Function) { f.Handler = "" }, good, iot.ErrInvalid, "mandatory"},
		{"a timeout beyond 15 minutes", func(f *iot.Function) { f.Timeout = 901 }, good, iot.ErrInvalid, "timeout"},
		{"too little memory", func(f *iot.Function) { f.Memory = 64 }, good, iot.ErrInvalid, "memorySize"},
		{"a huge environment", func(f *iot.Function) { f.Environment = map[string]string{"BIG": strings.Repeat("x", 4094)} }, good, iot.ErrInvalid, "4KB"},
		{"a reserved variable", func(f *iot.Function) { f.Environment = map[string]string{"AWS_REGION": "eu-west-1"} }, good, iot.ErrInvalid, "AWS_REGION"},
		{"a variable that is none", func(f *iot.Function) { f.Environment = map[string]string{"A=B": ""} }, good, iot.ErrInvalid, "A=B"},
		{"no bootstrap", func(*iot.Function) {}, pack(t, file{name: "main.py"}), iot.ErrInvalid, "bootstrap"},
		{"a bootstrap that is a folder", func(*iot.Function) {}, pack(t, file{name: "bootstrap/x"}), iot.ErrInvalid, "bootstrap"},
		{"no zip", func(*iot.Function) {}, []byte("PK?"), iot.ErrInvalid, "Could not unzip uploaded file"},
		{"a path that leads out", func(*iot.Function) {}, pack(t, file{name: "../bootstrap"}), iot.ErrInvalid, "leads out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t)
			c := open(t, cfg)
			f := named("hello")
			tt.change(&f)
			_, err := c.CreateFunction(f, tt.code)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("CreateFunction = %v", err)
			}
			if c.Exists(f.Name) {
				t.Error("the function exists")
			}
			c.background.Wait()
			if left, _ := filepath.Glob(filepath.Join(cfg.Dir, "hello", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestPythonNeedsAwslambdaric(t *testing.T) {
	cfg := config(t)
	cfg.Python = filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(cfg.Python, []byte("#!/bin/sh\necho \"No module named 'awslambdaric'\" >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := open(t, cfg)
	f := named("hello")
	f.Runtime, f.Handler = "python3.13", "app.handler"
	_, err := c.CreateFunction(f, pack(t, file{name: "app.py"}))
	if !errors.Is(err, iot.ErrUnsupported) || !strings.Contains(err.Error(), "No module named") || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("CreateFunction = %v", err)
	}
	if _, err := c.CreateFunction(f, bootstrapZip(t, "own")); err != nil {
		t.Errorf("with a bootstrap of its own: %v", err)
	}
}

// What a zip has the interpreter import may write without end, and leave something
// behind that keeps the pipe open.
func TestPythonsCheckIsBounded(t *testing.T) {
	cfg := config(t)
	cfg.Python = filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(cfg.Python, []byte("#!/bin/sh\nsleep 600 &\nyes | head -c 2000000\necho the end\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := open(t, cfg)
	f := named("snake")
	f.Runtime, f.Handler = "python3.13", "app.handler"
	_, err := c.CreateFunction(f, pack(t, file{name: "app.py"}))
	if !errors.Is(err, iot.ErrUnsupported) || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "the end") {
		t.Errorf("CreateFunction = %.300v", err)
	}
}

func TestDirectInvocationOfProcessIoTDataCommits(t *testing.T) {
	cfg := config(t)
	var got []iot.Effect
	cfg.Commit = func(_ context.Context, effects []iot.Effect) error { got = effects; return nil }
	answer := invoke(t, open(t, cfg), ProcessIoTData, `{"device_id":"d","ts":1}`)
	if answer.Error != "" || !strings.Contains(string(answer.Payload), "processed") || len(got) != 1 || got[0].(*iot.PutReading).Reading.DeviceID != "d" {
		t.Errorf("answer %+v, effects %v", answer, got)
	}
}

func TestAsynchronousInvocationIsDurableAndThenPerformed(t *testing.T) {
	cfg := config(t)
	var log logged
	cfg.Logs = log.add
	var recorded []*iot.Enqueue
	cfg.Enqueue = func(_ context.Context, e *iot.Enqueue) error { recorded = append(recorded, e); return nil }
	c := open(t, cfg)
	create(t, c, named("hello"), bootstrapZip(t, "hi"))
	for _, id := range []string{"one", "two"} {
		if err := c.InvokeAsync(t.Context(), iot.Invocation{Function: "hello", Event: []byte(`"fail"`), RequestID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if len(recorded) != 2 || recorded[0].Action != "lambda/hello" || recorded[0].Key == recorded[1].Key {
		t.Fatalf("recorded %+v", recorded)
	}
	err := c.Perform(t.Context(), iot.OutboxEntry{Body: recorded[0].Body})
	if _, own := errors.AsType[*functionError](err); !own || !strings.Contains(err.Error(), "Refused") {
		t.Errorf("Perform = %v", err)
	}
	if !strings.Contains(log.String(), "did fail") || !strings.Contains(log.String(), "RequestId: one") {
		t.Errorf("log %s", log.String())
	}
	if err := c.DeleteFunction("hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.Perform(t.Context(), iot.OutboxEntry{Body: recorded[1].Body}); !errors.Is(err, iot.ErrNotFound) { // which the dispatcher buries
		t.Errorf("Perform of a deleted function = %v", err)
	}
}

func TestTriesOfAnEntryAreOneInvocation(t *testing.T) {
	entry := iot.OutboxEntry{Lane: iot.LaneOf("lambda/hello", "k"), ID: 7, Enqueued: time.Unix(1_770_000_000, 0)}
	of := func(e iot.OutboxEntry, i iot.AsyncInvocation) iot.AsyncInvocation {
		identify(&i, e)
		return i
	}
	first, second := of(entry, iot.AsyncInvocation{}), of(entry, iot.AsyncInvocation{})
	if first.RequestID != second.RequestID || first.Trace != second.Trace || !strings.HasPrefix(first.Trace, "Root=1-69800e80-") {
		t.Errorf("first try %s %s, second %s %s", first.RequestID, first.Trace, second.RequestID, second.Trace)
	}
	next := entry
	next.ID++
	if other := of(next, iot.AsyncInvocation{}); other.RequestID == first.RequestID || other.Trace == first.Trace {
		t.Errorf("another entry has the same names: %+v", other)
	}
	if kept := of(entry, iot.AsyncInvocation{RequestID: "one", Trace: "Root=1"}); kept.RequestID != "one" || kept.Trace != "Root=1" {
		t.Errorf("the caller's names became %+v", kept)
	}
}

func TestRetriesAreLambdas(t *testing.T) {
	failed, throttled := error(&functionError{"hello", nil}), fmt.Errorf("busy: %w", iot.ErrOverloaded)
	tests := []struct {
		name   string
		config *iot.AsyncConfig
		errs   []error
		want   string // the pauses; "dead" ends
	}{
		{"two more tries a minute and two later", nil, []error{failed, failed, failed}, "1m0s 2m0s dead"},
		{"throttles are tried sooner and use up no try", nil, []error{throttled, throttled, failed, failed, failed}, "1s 2s 1m0s 2m0s dead"},
		{"no retries", &iot.AsyncConfig{MaxRetries: 0, MaxAge: time.Hour}, []error{failed}, "dead"},
		{"too old", &iot.AsyncConfig{MaxRetries: 2, MaxAge: 90 * time.Second}, []error{failed, failed}, "1m0s dead"},
	}
	c := newCatalog(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := map[string]*entry{"hello": {own: c.newVersion(iot.Function{Name: "hello", Async: tt.config})}}
				c.current.Store(&all)
				next := c.Retry(iot.OutboxEntry{Lane: iot.LaneOf("lambda/hello", "k"), Enqueued: time.Now()})
				var got []string
				for _, err := range tt.errs {
					pause, again := next(err)
					if !again {
						got = append(got, "dead")
						break
					}
					got = append(got, pause.String())
					time.Sleep(pause)
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("pauses %v, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestCreatesAndInvocationsMeet(t *testing.T) {
	c := newCatalog(t)
	create(t, c, named("hello"), bootstrapZip(t, "v"))
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 10 {
				if a, err := c.Invoke(t.Context(), iot.Invocation{Function: "hello", Event: []byte(`""`)}); err != nil || a.Error != "" {
					t.Errorf("while it was updated: %+v, %v", a, err)
				}
			}
		})
	}
	for i := range 5 {
		if _, err := c.UpdateCode("hello", "", bootstrapZip(t, fmt.Sprint("v", i)), false); err != nil {
			t.Error(err)
		}
	}
	callers.Wait()
}

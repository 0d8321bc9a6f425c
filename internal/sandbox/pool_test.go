package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const arn = "arn:aws:lambda:us-east-1:123456789012:function:Fn"

// lines keeps what a function logs.
type lines struct {
	mu     sync.Mutex
	events []iot.LogEvent
}

func (l *lines) add(e iot.LogEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *lines) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var texts []string
	for _, e := range l.events {
		texts = append(texts, e.Text)
	}
	return texts
}

func (l *lines) contain(part string) bool {
	return slices.ContainsFunc(l.texts(), func(s string) bool { return strings.Contains(s, part) })
}

// script returns a code folder with that shell script as its bootstrap.
func script(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testConfig(t testing.TB, mode string) (Config, *lines) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	return Config{
		Function:    "Fn",
		ARN:         arn,
		Handler:     "app.handler",
		Dir:         script(t, "exec '"+self+"'"),
		Environment: map[string]string{asBootstrap: mode},
		Memory:      256,
		Timeout:     30 * time.Second,
		Log:         log.add,
		TempDir:     t.TempDir(),
	}, log
}

func newPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func invoke(t testing.TB, p *Pool, o order) iot.Answer {
	t.Helper()
	event, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Invoke(t.Context(), iot.Invocation{Event: event})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// about invokes the function and returns what it says about itself.
func about(t testing.TB, p *Pool, o order) state {
	t.Helper()
	answer := invoke(t, p, o)
	var s state
	if err := json.Unmarshal(answer.Payload, &s); err != nil || answer.Error != "" {
		t.Fatalf("answered %s %s", answer.Error, answer.Payload)
	}
	return s
}

// wantFailure checks an answer's error document.
func wantFailure(t *testing.T, a iot.Answer, kind, message string) {
	t.Helper()
	var e functionError
	if err := json.Unmarshal(a.Payload, &e); err != nil {
		t.Fatalf("payload %s: %v", a.Payload, err)
	}
	message = strings.ReplaceAll(message, "ID", a.RequestID)
	if a.Error != "Unhandled" || e.Type != kind || e.Message != message {
		t.Errorf("answered %q %+v, want %s: %s", a.Error, e, kind, message)
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// eventually fails the test unless ok holds before the test's patience ends.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestFunctionIsToldAboutItsInvocation(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	answer, err := newPool(t, cfg).Invoke(t.Context(), iot.Invocation{
		Event: []byte(`{"text":"hello"}`), RequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
		ClientContext: `{"custom":{"who":"me"}}`, Trace: "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(answer.Payload, &s); err != nil {
		t.Fatal(err)
	}
	got := []string{answer.RequestID, s.Request, s.ARN, s.Client, s.Trace, s.Text}
	want := []string{
		"8476a536-e9f4-11e8-9739-2dfe598c3fcd", "8476a536-e9f4-11e8-9739-2dfe598c3fcd", arn, "me",
		"Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1", "hello",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if left := time.Until(time.UnixMilli(s.Deadline)); left <= 0 || left > cfg.Timeout {
		t.Errorf("deadline is %v away, want at most %v", left, cfg.Timeout)
	}
}

func TestProcessHasAnEnvironmentOfItsOwn(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "the server's")
	t.Setenv("SERVER_SECRET", "the server's")
	cfg, _ := testConfig(t, "function")
	cfg.Environment["AWS_REGION"] = "mine"
	cfg.Environment["AWS_ENDPOINT_URL"] = "mine"
	cfg.Environment["AWS_LAMBDA_FUNCTION_NAME"] = "mine"
	cfg.Platform = map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "platform", "HTTPS_PROXY": "platform"}
	env := about(t, newPool(t, cfg), order{}).Env
	for _, want := range []string{
		"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=mine", "HTTPS_PROXY=platform", "AWS_LAMBDA_FUNCTION_NAME=Fn",
		"_HANDLER=app.handler", "LAMBDA_TASK_ROOT=" + cfg.Dir, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "TZ=:UTC",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	for _, v := range env {
		if strings.Contains(v, "the server's") {
			t.Errorf("the environment holds %s", v)
		}
	}
}

func TestWarmProcessIsUsedAgain(t *testing.T) {
	cfg, log := testConfig(t, "function")
	p := newPool(t, cfg)
	first, second := about(t, p, order{}), about(t, p, order{})
	if first.PID != second.PID {
		t.Errorf("processes %d and %d, want one", first.PID, second.PID)
	}
	// A function that fails is as warm as before.
	wantFailure(t, invoke(t, p, order{Do: "fail", Text: "no such device"}), "errorString", "no such device")
	if third := about(t, p, order{}); third.PID != first.PID {
		t.Errorf("process %d after a failure, want %d", third.PID, first.PID)
	}
	inits := slices.DeleteFunc(log.texts(), func(s string) bool { return !strings.HasPrefix(s, "INIT_START") })
	if len(inits) != 1 {
		t.Errorf("%d cold starts, want 1", len(inits))
	}
}

func TestIdleProcessIsEnded(t *testing.T) {
	cfg, log := testConfig(t, "sigterm")
	cfg.IdleTimeout = 50 * time.Millisecond
	p := newPool(t, cfg)
	if a := invoke(t, p, order{}); a.Error != "" {
		t.Fatalf("answered %s", a.Payload)
	}
	eventually(t, "SIGTERM reaches the function", func() bool { return log.contain("got SIGTERM") })
	eventually(t, "its private folder is removed", func() bool {
		left, err := os.ReadDir(cfg.TempDir)
		return err == nil && len(left) == 0
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	cfg.Concurrency = 2
	p := newPool(t, cfg)
	gate := filepath.Join(t.TempDir(), "gate")
	pids := make(chan int, 2)
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() { pids <- about(t, p, order{Do: "wait", Text: gate}).PID })
	}
	eventually(t, "both slots are taken", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.slots == 2
	})
	if _, err := p.Invoke(t.Context(), iot.Invocation{Event: []byte("{}")}); !errors.Is(err, iot.ErrOverloaded) {
		t.Errorf("a third invocation: %v, want ErrOverloaded", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy.Wait()
	if a, b := <-pids, <-pids; a == b {
		t.Error("one process took two events at a time")
	}
	about(t, p, order{}) // there is room again
}

func TestFailuresAreAnswersInLambdasWords(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	cfg.Concurrency = 1 // so that each failure must have freed its slot
	p := newPool(t, cfg)
	tests := []struct {
		name          string
		order         order
		kind, message string
	}{
		{"a panic is reported by the function itself", order{Do: "panic", Text: "oh no"}, "string", "oh no"},
		{"an exit is reported for it", order{Do: "exit", N: 3}, "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 3"},
		{"an exit without an error too", order{Do: "exit"}, "Runtime.ExitError", "RequestId: ID Error: Runtime exited without providing a reason"},
		{
			"an answer that is too large",
			order{Do: "big", N: maxPayload + 1},
			"Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
		},
		{"more memory than there is", order{Do: "hog", N: 400}, "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: signal: killed"},
		{"a child with more memory", order{Do: "hog child"}, "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantFailure(t, invoke(t, p, tt.order), tt.kind, tt.message)
			about(t, p, order{}) // the function works on
		})
	}
}

func TestLargestAnswerIsPassedOn(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	a := invoke(t, newPool(t, cfg), order{Do: "big", N: maxPayload})
	if len(a.Payload) != maxPayload || a.Error != "" {
		t.Errorf("answered %d bytes, error %q; want %d", len(a.Payload), a.Error, maxPayload)
	}
}

func TestTimeoutEndsTheFunctionAndItsChildren(t *testing.T) {
	cfg, log := testConfig(t, "function")
	cfg.Timeout, cfg.Concurrency = 500*time.Millisecond, 1
	p := newPool(t, cfg)
	file := filepath.Join(t.TempDir(), "pid")
	a := invoke(t, p, order{Do: "hang", Text: file})
	wantFailure(t, a, "Sandbox.Timedout", "RequestId: ID Error: Task timed out after 0.50 seconds")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is gone", func() bool { return !alive(child) })
	for _, want := range []string{"Task timed out after 0.50 seconds", "Status: timeout"} {
		if !log.contain(want) {
			t.Errorf("the log lacks %q: %q", want, log.texts())
		}
	}
	about(t, p, order{})
}

func TestInitFailures(t *testing.T) {
	tests := []struct {
		name, document string
		kind, message  string
	}{
		{"an error that the runtime reports", `{"errorMessage":"no table","errorType":"Conf"}`, "Conf", "no table"},
		{"an error that is no JSON", "boom", "Runtime.BadConfig", "boom"},
		{"a crash", "", "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, _ := testConfig(t, "init error")
			cfg.Concurrency = 1
			cfg.Environment["DOCUMENT"] = tt.document
			if tt.document == "" {
				cfg.Dir = script(t, "exit 9")
			}
			p := newPool(t, cfg)
			for range 2 { // the first has freed its slot
				wantFailure(t, invoke(t, p, order{}), tt.kind, tt.message)
			}
		})
	}
}

func TestBootstrapThatCannotBeExecuted(t *testing.T) {
	cfg, _ := testConfig(t, "")
	if err := os.WriteFile(filepath.Join(cfg.Dir, "bootstrap"), []byte("\x7fELF but not really"), 0o755); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, invoke(t, newPool(t, cfg), order{}), "Runtime.InvalidEntrypoint",
		"RequestId: ID Error: fork/exec "+cfg.Dir+"/bootstrap: exec format error")
}

func TestNewRefuses(t *testing.T) {
	good, _ := testConfig(t, "")
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"a relative folder", func(c *Config) { c.Dir = "code" }},
		{"a folder without bootstrap", func(c *Config) { c.Dir = t.TempDir() }},
		{"a bootstrap that is not executable", func(c *Config) {
			c.Dir = script(t, "exit")
			_ = os.Chmod(filepath.Join(c.Dir, "bootstrap"), 0o644)
		}},
		{"a variable that no process can have", func(c *Config) { c.Environment = map[string]string{"A=B": "c"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			if _, err := New(cfg); !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("New: %v, want ErrInvalid", err)
			}
		})
	}
}

func TestProcessThatDiesIdleIsReplaced(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	cfg.Concurrency = 1
	p := newPool(t, cfg)
	first := about(t, p, order{}).PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return !alive(first) })
	about(t, p, order{}) // by a new process, in its slot
}

// The event is not lost in a process that dies between its answer and its next
// request.
func TestEventIsNotLostInADyingProcess(t *testing.T) {
	cfg, _ := testConfig(t, "one answer")
	cfg.Concurrency = 1
	p := newPool(t, cfg)
	for range 5 {
		if a := invoke(t, p, order{}); string(a.Payload) != "done" {
			t.Fatalf("answered %s %s", a.Error, a.Payload)
		}
	}
}

func TestContextEndsTheWaitingOnly(t *testing.T) {
	cfg, log := testConfig(t, "function")
	p := newPool(t, cfg)
	pid := about(t, p, order{}).PID
	gate := filepath.Join(t.TempDir(), "gate")
	event, _ := json.Marshal(order{Do: "wait", Text: gate})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := p.Invoke(ctx, iot.Invocation{Event: event, RequestID: "abandoned"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Invoke: %v, want the context's error", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the abandoned invocation ends", func() bool { return log.contain("END RequestId: abandoned") })
	eventually(t, "its process is free", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.idle) == 1
	})
	if again := about(t, p, order{}).PID; again != pid {
		t.Errorf("process %d, want the one that went on, %d", again, pid)
	}
}

func TestCloseEndsAProcessThatHangs(t *testing.T) {
	cfg, _ := testConfig(t, "function")
	cfg.Dir = script(t, `trap '' TERM; echo $$ > "`+cfg.TempDir+`/pid"; while :; do sleep 0.05; done`)
	p := newPool(t, cfg)
	failure := make(chan error, 1)
	go func() {
		_, err := p.Invoke(context.WithoutCancel(t.Context()), iot.Invocation{Event: []byte("{}")})
		failure <- err
	}()
	var pid int
	eventually(t, "the process runs", func() bool {
		text, _ := os.ReadFile(filepath.Join(cfg.TempDir, "pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	p.Close()
	if alive(pid) {
		t.Error("the process lives")
	}
	if err := <-failure; !errors.Is(err, iot.ErrClosed) {
		t.Errorf("the invocation under way: %v, want ErrClosed", err)
	}
	if _, err := p.Invoke(t.Context(), iot.Invocation{}); !errors.Is(err, iot.ErrClosed) {
		t.Errorf("Invoke after Close: %v, want ErrClosed", err)
	}
}

func BenchmarkWarmInvoke(b *testing.B) {
	cfg, _ := testConfig(b, "function")
	p := newPool(b, cfg)
	invoke(b, p, order{Do: "big", N: 16})
	for b.Loop() {
		invoke(b, p, order{Do: "big", N: 16})
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/invoke")
}

func BenchmarkColdStart(b *testing.B) {
	cfg, _ := testConfig(b, "function")
	for b.Loop() {
		p := newPool(b, cfg)
		invoke(b, p, order{Do: "big", N: 16})
		b.StopTimer()
		p.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/start")
}

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// The test binary is its own bootstrap: with this variable it is a Lambda
// function, on AWS's library, that does what its events say.
const asBootstrap = "SANDBOX_TEST_BOOTSTRAP"

func TestMain(m *testing.M) {
	switch os.Getenv(asBootstrap) {
	case "":
		os.Exit(m.Run())
	case "init error":
		api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
		r, _ := http.NewRequest(http.MethodPost, api, strings.NewReader(os.Getenv("DOCUMENT")))
		r.Header.Set("Lambda-Runtime-Function-Error-Type", "Runtime.BadConfig")
		_, _ = http.DefaultClient.Do(r)
		select {}
	case "one answer":
		api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
		event, _ := http.Get(api + "next")
		_, _ = http.Post(api+event.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "text/plain", strings.NewReader("done"))
	case "hog":
		hog(400)
	case "sigterm":
		lambda.StartWithOptions(func() error { return nil }, lambda.WithEnableSIGTERM(func() { fmt.Println("got SIGTERM") }))
	default:
		lambda.Start(handle)
	}
}

// order is the event of the test function.
type order struct {
	Do   string `json:"do"`
	N    int    `json:"n"`
	Text string `json:"text"`
}

// state is what the test function says about itself.
type state struct {
	PID      int      `json:"pid"`
	UID      int      `json:"uid"`
	Env      []string `json:"env"`
	Deadline int64    `json:"deadline"`
	Request  string   `json:"request"`
	Client   string   `json:"client"`
	Trace    string   `json:"trace"`
	ARN      string   `json:"arn"`
	Text     string   `json:"text"`
}

func handle(ctx context.Context, o order) (any, error) {
	switch o.Do {
	case "fail":
		return nil, errors.New(o.Text)
	case "panic":
		panic(o.Text)
	case "exit":
		os.Exit(o.N)
	case "hang": // with a child, whose pid goes to the file o.Text
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			return nil, err
		}
		if err := os.WriteFile(o.Text, []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
			return nil, err
		}
		select {}
	case "big":
		return strings.Repeat("x", o.N-2), nil // and two quotes
	case "print":
		fmt.Print(o.Text)
	case "flood":
		line := []byte(strings.Repeat("y", 99) + "\n")
		for range o.N {
			_, _ = os.Stdout.Write(line)
		}
	case "hog":
		hog(o.N)
	case "hog child":
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		child := exec.Command(self)
		child.Env = []string{asBootstrap + "=hog"}
		return nil, child.Run()
	case "read":
		text, err := os.ReadFile(o.Text)
		return string(text), err
	case "wait":
		for { // for the file o.Text
			if _, err := os.Stat(o.Text); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return describe(ctx, o), nil
}

// hog holds that many MB.
func hog(mb int) {
	hold := make([]byte, mb<<20)
	for i := 0; i < len(hold); i += 4096 {
		hold[i] = 1
	}
	time.Sleep(time.Minute)
	runtime.KeepAlive(hold)
}

func describe(ctx context.Context, o order) state {
	s := state{PID: os.Getpid(), UID: os.Getuid(), Env: os.Environ(), Text: o.Text}
	deadline, _ := ctx.Deadline()
	s.Deadline = deadline.UnixMilli()
	s.Trace, _ = ctx.Value("x-amzn-trace-id").(string)
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		s.Request, s.ARN, s.Client = lc.AwsRequestID, lc.InvokedFunctionArn, lc.ClientContext.Custom["who"]
	}
	return s
}

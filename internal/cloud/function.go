package cloud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/fieldline-iot/fieldline/internal/apigw"
	"github.com/fieldline-iot/fieldline/internal/dynamo"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Function is one of the guide's functions, as lambda.Start takes it. It may be
// invoked by any number of goroutines.
type Function struct {
	settings settings
	aws      aws.Config
	tables   *dynamo.Tables
	out      io.Writer
	log      *slog.Logger
	serve    func(context.Context, *invocation, []byte) ([]byte, error)
}

// newFunction reads the environment and builds the clients.
func newFunction(ctx context.Context) (*Function, error) {
	s, err := readSettings(os.Getenv)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.region))
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	tables, err := dynamo.New(dynamo.Config{
		Client: dynamodb.NewFromConfig(cfg), Latest: s.latest, Connections: s.connections, History: s.history, Keep: s.keep,
	})
	if err != nil {
		return nil, err
	}
	f := &Function{settings: s, aws: cfg, tables: tables}
	f.writeTo(os.Stdout)
	return f, nil
}

// writeTo sends log lines and metrics to out.
func (f *Function) writeTo(out io.Writer) {
	f.out = out
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(os.Getenv("AWS_LAMBDA_LOG_LEVEL"))) // info when it says nothing
	f.log = slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})).With("function", f.settings.function)
}

// connectionsOf returns a client for the connections of an API's stage, nil when
// no endpoint is known.
func (f *Function) connectionsOf(apiID, stage string) (*apigw.Client, error) {
	endpoint := f.settings.connectionsURL(apiID, stage)
	if endpoint == "" {
		return nil, nil
	}
	return apigw.New(apigw.Config{Endpoint: endpoint, Region: f.settings.region, Credentials: f.aws.Credentials, Trace: traceOf})
}

// invocation is one call of a function.
type invocation struct {
	call  telemetry.Call
	trace string
	log   *slog.Logger
}

// Invoke implements the Handler of aws-lambda-go.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	in := &invocation{call: telemetry.Call{Now: time.Now()}, trace: traceOf(ctx)}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		in.call.RequestID = lc.AwsRequestID
	}
	in.call.Began = traceStart(in.trace, in.call.Now)
	in.log = f.log.With("requestId", in.call.RequestID)
	if in.trace != "" {
		in.log = in.log.With("traceId", in.trace)
	}
	in.log.Debug("raw event", "event", string(event))
	ctx, cancel := withReserve(ctx)
	defer cancel()
	answer, err := f.serve(ctx, in, event)
	if err != nil {
		in.log.Error("invocation failed", "err", err)
	}
	return answer, err
}

// reserve is the time kept for the answer at the end of an invocation.
const reserve = 400 * time.Millisecond

// withReserve ends the work of an invocation before AWS ends the invocation.
func withReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-reserve))
}

// traceOf is the X-Ray header of an invocation, "" when there is none. AWS's SDK
// passes the same on to DynamoDB.
func traceOf(ctx context.Context) string {
	if header, ok := ctx.Value("x-amzn-trace-id").(string); ok { // aws-lambda-go's key
		return header
	}
	return os.Getenv("_X_AMZN_TRACE_ID")
}

// oldestEvent is how long AWS keeps an asynchronous event at most.
const oldestEvent = 6*time.Hour + time.Minute

// traceStart is when the trace began, as its root says
// (Root=1-5759e988-bd862e3fe1be46a994272793): the same second for each try of an
// asynchronous invocation. It is zero when the header says nothing usable.
func traceStart(header string, now time.Time) time.Time {
	for field := range strings.SplitSeq(header, ";") {
		root, ok := strings.CutPrefix(strings.TrimSpace(field), "Root=1-")
		if !ok {
			continue
		}
		hex, _, _ := strings.Cut(root, "-")
		seconds, err := strconv.ParseInt(hex, 16, 64)
		began := time.Unix(seconds, 0)
		if err != nil || began.Before(now.Add(-oldestEvent)) || began.After(now.Add(time.Minute)) {
			return time.Time{}
		}
		return began
	}
	return time.Time{}
}

package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// The guide's functions.
const (
	ProcessIoTData = "ProcessIoTData"
	OnConnect      = "OnConnect"
	OnDisconnect   = "OnDisconnect"
	FetchIoTData   = "FetchIoTData"
)

const (
	builtInStream = "built-in" // the log stream of functions in process
	maxLogData    = 2048       // bytes of an event that a log line shows
)

// invoker runs a built-in function on an event and returns its answer as JSON.
type invoker func(ctx context.Context, event []byte) ([]byte, error)

func (c *Catalog) builtIns() map[string]invoker {
	return map[string]invoker{
		ProcessIoTData: c.invokeProcess,
		OnConnect:      c.invokeConnect,
		OnDisconnect:   c.invokeDisconnect,
		FetchIoTData:   c.invokeFetch,
	}
}

// builtInFunction is how a built-in is shown: what code that replaces it gets
// unless it says otherwise.
func builtInFunction(name string) iot.Function {
	return iot.Function{
		Name: name, Runtime: "provided.al2023", Handler: "bootstrap", Description: "Built into Fieldline",
		Timeout: defaultTimeout, Memory: defaultMemory, Ephemeral: defaultEphemeral, Architecture: hostArchitecture(),
		Revision: uuid.NewSHA1(uuid.NameSpaceOID, []byte("fieldline:"+name)).String(), Modified: time.Unix(0, 0), BuiltIn: true,
	}
}

func hostArchitecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// Inline reports whether the function's whole work is effects, so that Evaluate
// serves it on the way of the message: only the built-in ProcessIoTData.
func (c *Catalog) Inline(name string) bool { return name == ProcessIoTData && c.BuiltIn(name) }

// Evaluate runs the built-in ProcessIoTData: it appends the effects of the event
// to dst.
func (c *Catalog) Evaluate(name string, dst []iot.Effect, event []byte, origin iot.Origin) ([]iot.Effect, error) {
	if name != ProcessIoTData {
		return dst, fmt.Errorf("function %q is not evaluated in line: %w", name, iot.ErrUnsupported)
	}
	dst, err := telemetry.Process(dst, event, origin)
	if err != nil {
		c.log(name, "refused: "+err.Error()+" "+shown(event))
		return dst, err
	}
	if c.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.cfg.Log.Debug("raw event", "function", name, "event", string(event))
		c.log(name, "Raw event: "+shown(event))
	}
	return dst, nil
}

func shown(event []byte) string { return string(event[:min(len(event), maxLogData)]) }

// invokeBuiltIn runs a built-in as Lambda would: its failure is an answer.
func (c *Catalog) invokeBuiltIn(ctx context.Context, run invoker, in iot.Invocation) (iot.Answer, error) {
	if in.RequestID == "" {
		in.RequestID = uuid.NewString()
	}
	payload, err := run(ctx, in.Event)
	if err == nil {
		return iot.Answer{Payload: payload, RequestID: in.RequestID}, nil
	}
	line := "failed: " + err.Error() + " " + shown(in.Event)
	c.log(in.Function, line)
	if ctx.Err() != nil || errors.Is(err, iot.ErrOverloaded) || errors.Is(err, iot.ErrClosed) {
		return iot.Answer{}, err
	}
	if in.Function == ProcessIoTData && errors.Is(err, iot.ErrInvalid) { // as the Lambda answers
		return iot.Answer{Payload: telemetry.Refused(err).JSON(), RequestID: in.RequestID, LogTail: []byte(line + "\n")}, nil
	}
	payload, _ = json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": "Error"}) // two strings always encode
	return iot.Answer{Payload: payload, Error: "Unhandled", RequestID: in.RequestID, LogTail: []byte(line + "\n")}, nil
}

// invokeProcess stores a reading that no message brought.
func (c *Catalog) invokeProcess(ctx context.Context, event []byte) ([]byte, error) {
	if c.cfg.Commit == nil {
		return nil, fmt.Errorf("%s takes its events from topic rules; publish to a rule's topic instead: %w", ProcessIoTData, iot.ErrUnsupported)
	}
	now := time.Now()
	batch, err := telemetry.ParseBatch(event, telemetry.Call{Now: now})
	if err != nil {
		return nil, err
	}
	if batch.Source != telemetry.Direct {
		return nil, fmt.Errorf("the built-in %s takes one event at a time; upload the Lambda of the same name for batches of %s: %w", ProcessIoTData, batch.Source, iot.ErrUnsupported)
	}
	effects, err := telemetry.Process(nil, event, iot.Origin{Arrived: now})
	if err != nil {
		return nil, err
	}
	return []byte(telemetry.Processed), c.cfg.Commit(ctx, effects)
}

// invokeConnect stores the connection of a client that comes in by an API of a
// user's, which the event describes. Messages of clients whom it let in are not
// brought here: they are actions on readings, which the WebSocket door obeys by
// itself (isBuiltIn and socket.Message of apis).
func (c *Catalog) invokeConnect(ctx context.Context, event []byte) ([]byte, error) {
	e, err := telemetry.ParseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if e.IsMessage() {
		return nil, fmt.Errorf("the built-in %s obeys the messages of clients whom it let in: lead $connect of API %q to it too: %w", OnConnect, e.RequestContext.APIID, iot.ErrUnsupported)
	}
	if err := telemetry.OnConnect(ctx, c.cfg.Connections, e.Connection(time.Now())); err != nil {
		return nil, err
	}
	return e.Accepted().JSON(), nil
}

func (c *Catalog) invokeDisconnect(ctx context.Context, event []byte) ([]byte, error) {
	e, err := telemetry.ParseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if err := telemetry.OnDisconnect(ctx, c.cfg.Connections, e.RequestContext.ConnectionID); err != nil {
		return nil, err
	}
	return telemetry.OK().JSON(), nil
}

func (c *Catalog) invokeFetch(ctx context.Context, event []byte) ([]byte, error) {
	e, err := telemetry.ParseHTTPEvent(event)
	if err != nil {
		return nil, err
	}
	answer, err := e.Answer(ctx, c.cfg.Readings)
	if err != nil {
		c.log(FetchIoTData, "failed: "+err.Error())
	}
	return answer.JSON(), nil
}

// Connect runs the built-in OnConnect for a WebSocket client that asks to come in.
func (c *Catalog) Connect(ctx context.Context, conn iot.Connection) error {
	return c.record(OnConnect, conn.ID, telemetry.OnConnect(ctx, c.cfg.Connections, conn))
}

// Disconnect runs the built-in OnDisconnect for a WebSocket client that has left,
// with the close code and reason it left by. As on API Gateway nothing comes of a
// failure but its log line.
func (c *Catalog) Disconnect(ctx context.Context, id string, code int, reason string) {
	err := telemetry.OnDisconnect(ctx, c.cfg.Connections, id)
	_ = c.record(OnDisconnect, fmt.Sprintf("%s (%d %s)", id, code, reason), err)
}

func (c *Catalog) record(function, connection string, err error) error {
	if err != nil {
		c.log(function, "failed: "+err.Error()+" "+connection)
		return err
	}
	c.log(function, "connectionId "+connection)
	return nil
}

// Package function holds the functions that rules and gateways invoke, under
// their AWS names, with who may invoke them and what they logged.
//
// Today these are the guide's four, in process: ProcessIoTData, whose effects
// are data and so are evaluated on the way of the message itself, and OnConnect,
// OnDisconnect and FetchIoTData, which reach tables. A [Catalog] is safe for
// concurrent use; looking up a function or a permission takes no lock.
package function

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"sort"

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

// Config is what a Catalog needs. Log nil discards.
type Config struct {
	Account     iot.Account
	Permissions Permissions
	Readings    telemetry.Readings
	Connections telemetry.Connections
	Log         *slog.Logger
}

// Permissions keeps the statements of the functions' resource policies.
type Permissions interface {
	PutPermission(iot.Permission) error
	Permissions(function string) ([]iot.Permission, error)
	DeletePermission(function, statementID string) error
}

// invoker runs a function on an event and returns its answer as JSON.
type invoker func(ctx context.Context, event []byte) ([]byte, error)

// Catalog is the set of functions.
type Catalog struct {
	cfg       Config
	functions map[string]invoker
	allowed   permissions
	logs      map[string]*Log
}

// New returns the catalog of the guide's functions, with the permissions that
// are stored.
func New(cfg Config) (*Catalog, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Catalog{cfg: cfg, logs: make(map[string]*Log)}
	c.functions = map[string]invoker{
		ProcessIoTData: c.invokeProcess,
		OnConnect:      c.invokeConnect,
		OnDisconnect:   c.invokeDisconnect,
		FetchIoTData:   c.invokeFetch,
	}
	for name := range c.functions {
		c.logs[name] = newLog()
	}
	return c, c.reload()
}

// Names returns the functions' names in order.
func (c *Catalog) Names() []string {
	names := make([]string, 0, len(c.functions))
	for name := range c.functions {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Exists reports whether a function of that name can be invoked.
func (c *Catalog) Exists(name string) bool { return c.functions[name] != nil }

// Log returns what a function logged, or an error wrapping [iot.ErrNotFound].
func (c *Catalog) Log(name string) (*Log, error) {
	if log := c.logs[name]; log != nil {
		return log, nil
	}
	return nil, fmt.Errorf("function %q (there are %v): %w", name, c.Names(), iot.ErrNotFound)
}

// Inline reports whether the function's whole work is effects, so that Evaluate
// serves it on the way of the message.
func (c *Catalog) Inline(name string) bool { return name == ProcessIoTData }

// Evaluate runs an inline function: it appends the effects of the event to dst.
func (c *Catalog) Evaluate(name string, dst []iot.Effect, event []byte, origin iot.Origin) ([]iot.Effect, error) {
	if !c.Inline(name) {
		return dst, fmt.Errorf("function %q is not evaluated in line: %w", name, iot.ErrUnsupported)
	}
	dst, err := telemetry.Process(dst, event, origin)
	if err != nil {
		c.logs[name].Add("refused: "+err.Error(), event)
		return dst, err
	}
	if c.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.cfg.Log.Debug("raw event", "function", name, "event", string(event))
		c.logs[name].Add("Raw event:", event)
	}
	return dst, nil
}

// Invoke runs a function on an event and returns its answer, both JSON. It is
// how the outbox performs a rule's lambda action.
func (c *Catalog) Invoke(ctx context.Context, name string, event []byte) ([]byte, error) {
	run := c.functions[name]
	if run == nil {
		return nil, fmt.Errorf("function %q: %w", name, iot.ErrNotFound)
	}
	answer, err := run(ctx, event)
	if err != nil {
		c.logs[name].Add("failed: "+err.Error(), event)
	}
	return answer, err
}

// invokeProcess refuses: what ProcessIoTData stores is committed with the
// message that a rule hands it, so a bare invocation has nowhere to go.
func (c *Catalog) invokeProcess(context.Context, []byte) ([]byte, error) {
	return nil, fmt.Errorf("%s takes its events from topic rules; publish to a rule's topic instead: %w", ProcessIoTData, iot.ErrUnsupported)
}

// connectionEvent is the part of API Gateway's WebSocket event that the guide's
// functions read.
type connectionEvent struct {
	RequestContext struct {
		ConnectionID string `json:"connectionId"`
	} `json:"requestContext"`
}

func parseConnectionEvent(event []byte) (string, error) {
	var e connectionEvent
	if err := json.Unmarshal(event, &e); err != nil || e.RequestContext.ConnectionID == "" {
		return "", fmt.Errorf("the event has no requestContext.connectionId: %w", iot.ErrInvalid)
	}
	return e.RequestContext.ConnectionID, nil
}

func (c *Catalog) invokeConnect(ctx context.Context, event []byte) ([]byte, error) {
	id, err := parseConnectionEvent(event)
	if err != nil {
		return nil, err
	}
	return []byte(`{"statusCode":200}`), telemetry.OnConnect(ctx, c.cfg.Connections, iot.Connection{ID: id})
}

func (c *Catalog) invokeDisconnect(ctx context.Context, event []byte) ([]byte, error) {
	id, err := parseConnectionEvent(event)
	if err != nil {
		return nil, err
	}
	return []byte(`{"statusCode":200}`), telemetry.OnDisconnect(ctx, c.cfg.Connections, id)
}

func (c *Catalog) invokeFetch(ctx context.Context, event []byte) ([]byte, error) {
	var e struct {
		Query map[string]string `json:"queryStringParameters"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("the event is not an object with queryStringParameters: %w", iot.ErrInvalid)
	}
	values := make(url.Values)
	for name, value := range e.Query {
		values.Set(name, value)
	}
	query, err := telemetry.ParseQuery(values)
	if err != nil {
		return nil, err
	}
	response, err := telemetry.Fetch(ctx, c.cfg.Readings, query)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}{200, map[string]string{"Content-Type": "application/json"}, string(response.Body)})
}

// Connect runs OnConnect for a WebSocket client that asks to come in.
func (c *Catalog) Connect(ctx context.Context, conn iot.Connection) error {
	return c.record(OnConnect, conn.ID, telemetry.OnConnect(ctx, c.cfg.Connections, conn))
}

// Disconnect runs OnDisconnect for a WebSocket client that has left, with the
// close code and reason it left by. As on API Gateway nothing comes of a failure
// but its log line.
func (c *Catalog) Disconnect(ctx context.Context, id string, code int, reason string) {
	err := telemetry.OnDisconnect(ctx, c.cfg.Connections, id)
	_ = c.record(OnDisconnect, fmt.Sprintf("%s (%d %s)", id, code, reason), err)
}

func (c *Catalog) record(function, connection string, err error) error {
	if err != nil {
		c.logs[function].Add("failed: "+err.Error(), []byte(connection))
		return err
	}
	c.logs[function].Add("connectionId", []byte(connection))
	return nil
}

package dynamo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Config says which tables there are.
type Config struct {
	Client      *dynamodb.Client // required
	Latest      string           // the table of latest readings; IoTDeviceData
	Connections string           // the table of connections; WebsocketConnections
	History     string           // the table of history; "" keeps none
	// Keep is how long history is kept, counted from a reading's time; 0 is for ever.
	Keep time.Duration
	Now  func() time.Time // nil: time.Now
}

// Tables are the tables of one account and region.
type Tables struct {
	client                       *dynamodb.Client
	latest, connections, history string
	keep                         time.Duration
	now                          func() time.Time

	mu   sync.Mutex
	days map[string]struct{} // lists of days known to hold their day; bounded by maxKnownDays
}

// maxKnownDays bounds what a Tables remembers, so as not to write it again.
const maxKnownDays = 100_000

// New returns the tables. It does not touch them.
func New(cfg Config) (*Tables, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("dynamo: Config.Client is missing")
	case cfg.Keep < 0:
		return nil, fmt.Errorf("dynamo: history cannot be kept for %s", cfg.Keep)
	}
	t := &Tables{
		client: cfg.Client, latest: cfg.Latest, connections: cfg.Connections, history: cfg.History,
		keep: cfg.Keep, now: cfg.Now, days: make(map[string]struct{}),
	}
	if t.latest == "" {
		t.latest = "IoTDeviceData"
	}
	if t.connections == "" {
		t.connections = "WebsocketConnections"
	}
	if t.now == nil {
		t.now = time.Now
	}
	return t, nil
}

// item is an item of any of the tables.
type item = map[string]types.AttributeValue

// coded is an error that AWS answered.
type coded interface {
	error
	ErrorCode() string
}

// failed wraps an error of DynamoDB with what was tried; throttling is an
// [iot.ErrOverloaded]. A ValidationException is no [iot.ErrInvalid]: it may as well
// be the table that is not as it should be.
func failed(what, table string, err error) error {
	if api, ok := errors.AsType[coded](err); ok {
		switch api.ErrorCode() {
		case "ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException":
			return fmt.Errorf("%s in table %q: %w: %w", what, table, iot.ErrOverloaded, err)
		}
	}
	return fmt.Errorf("%s in table %q: %w", what, table, err)
}

// unexpired is the condition that leaves out what DynamoDB is yet to delete.
const unexpired = "attribute_not_exists(expires_at) OR expires_at > :now"

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

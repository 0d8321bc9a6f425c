package broker

import (
	"cmp"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits bound what one client can make the broker hold. Zero fields take the
// defaults that they name.
type Limits struct {
	// Payload is the largest payload of a publish, in bytes: 128 KiB, as AWS IoT
	// has it. A packet may have 8 KiB beside its payload.
	Payload int
	// InFlight is how many QoS 1 publishes of a connection may wait for their
	// acknowledgement: 100. It is not read further while so many do.
	InFlight int
	// Window is how many QoS 1 deliveries to a connection may wait for its
	// acknowledgement: 256, or the client's Receive Maximum if that is less.
	Window int
	// QueueMessages and QueueBytes bound what waits for being delivered to one
	// connection: 10,000 and 8 MiB. Beyond them QoS 0 deliveries are dropped, and
	// QoS 1 deliveries end the connection.
	QueueMessages int
	QueueBytes    int
	// SessionMessages and SessionBytes bound what is stored for one durable session
	// whose client is slow or away: 100,000 and 64 MiB. Beyond them messages for it
	// are dropped, and it is told how many.
	SessionMessages int
	SessionBytes    int64
	// SessionExpiry is how long a session is kept after its connection at most:
	// 7 days. Negative is for ever.
	SessionExpiry time.Duration
	// QueuedBytes bounds what waits for being delivered to all connections: 256 MiB.
	QueuedBytes int64
	// Subscriptions is how many filters a connection may be subscribed to: 500.
	Subscriptions int
	// Levels is how many levels a filter may have: 128. Each takes memory of its
	// own, a hundred times that of its slash.
	Levels int
	// TopicAliases is the highest topic alias that an MQTT 5 client may use: 8.
	TopicAliases int
	// KeepAlive is the longest keep-alive, in seconds, that an MQTT 5 client is
	// granted; 0 grants any, and none.
	KeepAlive uint16
	// Arriving is how many connections may be between accept and CONNACK: 4,096.
	// While so many are, no more are accepted.
	Arriving int

	ConnectTimeout time.Duration // from accept to CONNECT: 10 s
	WriteTimeout   time.Duration // of a write that the peer does not take: 10 s
	DrainTimeout   time.Duration // for pending acknowledgements when stopping: 5 s
}

// headerRoom is how large a packet may be beside its payload, in bytes.
const headerRoom = 8 << 10

func (l *Limits) setDefaults() {
	l.Payload = cmp.Or(l.Payload, 128<<10)
	l.InFlight = cmp.Or(l.InFlight, 100)
	l.Window = cmp.Or(l.Window, 256)
	l.QueueMessages = cmp.Or(l.QueueMessages, 10_000)
	l.QueueBytes = cmp.Or(l.QueueBytes, 8<<20)
	l.SessionMessages = cmp.Or(l.SessionMessages, 100_000)
	l.SessionBytes = cmp.Or(l.SessionBytes, 64<<20)
	l.SessionExpiry = cmp.Or(l.SessionExpiry, 7*24*time.Hour)
	l.QueuedBytes = cmp.Or(l.QueuedBytes, 256<<20)
	l.Subscriptions = cmp.Or(l.Subscriptions, 500)
	l.Levels = cmp.Or(l.Levels, 128)
	l.TopicAliases = cmp.Or(l.TopicAliases, 8)
	l.Arriving = cmp.Or(l.Arriving, 4096)
	l.ConnectTimeout = cmp.Or(l.ConnectTimeout, 10*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 10*time.Second)
	l.DrainTimeout = cmp.Or(l.DrainTimeout, 5*time.Second)
}

// validate refuses what the protocol cannot express.
func (l *Limits) validate() error {
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Payload", l.Payload, 64 << 20},
		{"InFlight", l.InFlight, 65535},
		{"Window", l.Window, 32768},
		{"QueueMessages", l.QueueMessages, 1 << 30},
		{"QueueBytes", l.QueueBytes, 1 << 40},
		{"Subscriptions", l.Subscriptions, 1 << 30},
		{"Levels", l.Levels, 65536},
		{"TopicAliases", l.TopicAliases, 65535},
		{"Arriving", l.Arriving, 1 << 20},
	} {
		if f.value < 1 || f.value > f.max {
			return fmt.Errorf("limit %s is %d, want 1 to %d: %w", f.name, f.value, f.max, iot.ErrInvalid)
		}
	}
	return nil
}

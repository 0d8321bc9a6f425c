package broker

import (
	"cmp"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits bound what one client, or all of them, can make the broker hold and do.
// Zero fields take those of [DefaultLimits], or with [Config].Strict those of
// [AWSLimits]; the two figures behind each field are theirs. A rate of 0 in both
// is no bound, and neither is one below 0.
type Limits struct {
	// Payload is the largest payload of a publish, in bytes: 128 KiB, 128 KiB. A
	// packet may have 8 KiB beside its payload. Beyond it a connection ends.
	Payload int
	// ClientID is the longest client identifier, in bytes: 1,024, 128. MQTT has
	// 65,535 for it, but an identifier is also part of keys, of each line of the
	// log and of the topics of lifecycle events. CONNECT is refused beyond it.
	ClientID int
	// Topic is the longest topic or filter, in bytes: 65,535, 256. What Basic Ingest
	// and $share put before it does not count.
	Topic int
	// Levels is how many levels a topic or filter may have: 128, 8 (AWS: seven
	// slashes). Each level of a filter takes memory of its own, a hundred times
	// that of its slash. What Basic Ingest and $share put before does not count.
	Levels int
	// Filters is how many filters one SUBSCRIBE or UNSUBSCRIBE may have: 1,000, 8.
	// Beyond it the connection ends.
	Filters int
	// Subscriptions is how many filters a session may be subscribed to: 1,000, 50.
	// Those beyond it are refused.
	Subscriptions int
	// InFlight is how many publishes of QoS 1 or 2 of a connection may wait for
	// their acknowledgement (Receive Maximum): 100, 100. Beyond it a connection of
	// MQTT 5 ends; one of 3.1.1 is not read further while so many do.
	InFlight int
	// Window is how many deliveries of QoS 1 or 2 to a connection may wait for its
	// acknowledgement: 256, 100; or the client's Receive Maximum if that is less.
	Window int
	// TopicAliases is the highest topic alias that an MQTT 5 client may use: 8, 8.
	TopicAliases int

	// PublishRate is how many publishes a connection may send a second: none, 100.
	// As many may come at once. A connection beyond it is read more slowly; with
	// Strict its publishes of QoS 0 are discarded and counted, and the others are
	// refused: by a PUBACK with 0x97 in MQTT 5, by none in 3.1.1.
	PublishRate int
	// ByteRate is how many bytes of packets a connection may send a second: none,
	// 512 KiB. As many may come at once. A connection beyond it is read more slowly.
	ByteRate int

	// KeepAliveMin and KeepAliveMax are the bounds of the keep-alive in seconds:
	// none, 30 and 1,200. A client that asks for less gets the former, one that asks
	// for more or for none the latter. Server Keep Alive tells those of MQTT 5; others
	// are not told.
	KeepAliveMin uint16
	KeepAliveMax uint16

	// SessionExpiry is the longest that a session outlives its connection: 7 days,
	// 1 hour. Whoever asks for longer, as each persistent client of 3.1.1 does, gets
	// this; MQTT 5 is told. AWS lets an account raise its hour to 7 days. Negative is
	// for ever.
	SessionExpiry time.Duration
	// Sessions is how many sessions are stored: 500,000, 500,000, as many as an account
	// of AWS IoT has connections. CONNECT is refused for one more.
	Sessions int
	// SessionMessages and SessionBytes bound what is kept for a session that is not
	// connected, or is slow: 100,000 messages and 64 MiB of topics and payloads.
	// Beyond them what is new is dropped and counted, and the client is told when
	// it comes.
	SessionMessages int
	SessionBytes    int64
	// QueueMessages and QueueBytes bound what waits in memory for being delivered to
	// one connection: 10,000 and 8 MiB. Beyond them QoS 0 deliveries are dropped and
	// counted, and QoS 1 deliveries end the connection unless its session keeps them.
	QueueMessages int
	QueueBytes    int
	// QueuedBytes bounds what waits in memory for all connections together, but for
	// up to 4 KiB of each: 256 MiB.
	// Beyond it a connection's queue is full when it holds an equal share of it, so
	// that slow clients take nothing from others: in all, that is about twice as much.
	// What is read from the stored queues, up to 64 KiB or one message a connection, is
	// beside it.
	QueuedBytes int64

	// AcceptRate is how many connections are accepted a second, by all listeners
	// together, and AcceptBurst how many at once: 1,000 and 2,000, with Strict 500
	// and 500. Those beyond it wait in the system's queue.
	AcceptRate  int
	AcceptBurst int
	// ConnectRate is how often a second one client identifier may connect: none, 1.
	// CONNECT is refused beyond it.
	ConnectRate int
	// Arriving is how many connections may be between accept and CONNACK: 4,096.
	// Beyond it the oldest makes room for the next one, once it has been there for a
	// second; before that no more are accepted.
	Arriving int

	ConnectTimeout time.Duration // from accept to CONNECT: 10 s
	WriteTimeout   time.Duration // of a write that the peer does not take: 10 s
	DrainTimeout   time.Duration // for pending acknowledgements when stopping: 5 s
}

// headerRoom is how large a packet may be beside its payload, in bytes.
const headerRoom = 8 << 10

// DefaultLimits are MQTT's own, and generous where it has none.
func DefaultLimits() Limits {
	return Limits{
		Payload: 128 << 10, ClientID: 1024, Topic: 65535, Levels: 128, Filters: 1000, Subscriptions: 1000,
		InFlight: 100, Window: 256, TopicAliases: 8,
		SessionExpiry: 7 * 24 * time.Hour, Sessions: 500_000, SessionMessages: 100_000, SessionBytes: 64 << 20,
		QueueMessages: 10_000, QueueBytes: 8 << 20, QueuedBytes: 256 << 20,
		AcceptRate: 1000, AcceptBurst: 2000, Arriving: 4096,
		ConnectTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, DrainTimeout: 5 * time.Second,
	}
}

// AWSLimits are the quotas of AWS IoT Core, as an account has them that nobody
// raised (AWS General Reference, AWS IoT Core endpoints and quotas). Where AWS
// names none they are the default ones.
func AWSLimits() Limits {
	l := DefaultLimits()
	l.ClientID, l.Topic, l.Levels, l.Filters, l.Subscriptions = 128, 256, 8, 8, 50
	l.Window = 100
	l.PublishRate, l.ByteRate = 100, 512<<10
	l.KeepAliveMin, l.KeepAliveMax = 30, 1200
	l.SessionExpiry = time.Hour
	l.AcceptRate, l.AcceptBurst, l.ConnectRate = 500, 500, 1
	return l
}

// OrDefaults returns the limits with zero fields filled in: from [AWSLimits] when
// strict, else from [DefaultLimits].
func (l Limits) OrDefaults(strict bool) Limits {
	l.setDefaults(strict)
	return l
}

func (l *Limits) setDefaults(strict bool) {
	d := DefaultLimits()
	if strict {
		d = AWSLimits()
	}
	for _, f := range []struct{ field, absent *int }{
		{&l.Payload, &d.Payload},
		{&l.ClientID, &d.ClientID},
		{&l.Topic, &d.Topic},
		{&l.Levels, &d.Levels},
		{&l.Filters, &d.Filters},
		{&l.Subscriptions, &d.Subscriptions},
		{&l.InFlight, &d.InFlight},
		{&l.Window, &d.Window},
		{&l.TopicAliases, &d.TopicAliases},
		{&l.PublishRate, &d.PublishRate},
		{&l.ByteRate, &d.ByteRate},
		{&l.Sessions, &d.Sessions},
		{&l.SessionMessages, &d.SessionMessages},
		{&l.QueueMessages, &d.QueueMessages},
		{&l.QueueBytes, &d.QueueBytes},
		{&l.AcceptRate, &d.AcceptRate},
		{&l.AcceptBurst, &d.AcceptBurst},
		{&l.ConnectRate, &d.ConnectRate},
		{&l.Arriving, &d.Arriving},
	} {
		*f.field = cmp.Or(*f.field, *f.absent)
	}
	l.SessionBytes = cmp.Or(l.SessionBytes, d.SessionBytes)
	l.QueuedBytes = cmp.Or(l.QueuedBytes, d.QueuedBytes)
	l.KeepAliveMin = cmp.Or(l.KeepAliveMin, d.KeepAliveMin)
	l.KeepAliveMax = cmp.Or(l.KeepAliveMax, d.KeepAliveMax)
	l.SessionExpiry = cmp.Or(l.SessionExpiry, d.SessionExpiry)
	l.ConnectTimeout = cmp.Or(l.ConnectTimeout, d.ConnectTimeout)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, d.WriteTimeout)
	l.DrainTimeout = cmp.Or(l.DrainTimeout, d.DrainTimeout)
}

// Validate refuses what the protocol cannot express. Zero fields pass. Errors wrap
// [iot.ErrInvalid] and name the field.
func (l Limits) Validate() error {
	l.setDefaults(false)
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Payload", l.Payload, 64 << 20},
		{"ClientID", l.ClientID, 65535},
		{"Topic", l.Topic, 65535},
		{"Levels", l.Levels, 65536},
		{"Filters", l.Filters, 1 << 20},
		{"Subscriptions", l.Subscriptions, 1 << 30},
		{"InFlight", l.InFlight, 65535},
		{"Window", l.Window, 32768},
		{"TopicAliases", l.TopicAliases, 65535},
		{"Sessions", l.Sessions, 1 << 30},
		{"SessionMessages", l.SessionMessages, 1 << 30},
		{"QueueMessages", l.QueueMessages, 1 << 30},
		{"QueueBytes", l.QueueBytes, 1 << 40},
		{"AcceptBurst", l.AcceptBurst, 1 << 30},
		{"Arriving", l.Arriving, 1 << 20},
	} {
		if f.value < 1 || f.value > f.max {
			return fmt.Errorf("limit %s is %d, want 1 to %d: %w", f.name, f.value, f.max, iot.ErrInvalid)
		}
	}
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"PublishRate", l.PublishRate, 1 << 30},
		{"ByteRate", l.ByteRate, 1 << 32},
		{"AcceptRate", l.AcceptRate, 1 << 30},
		{"ConnectRate", l.ConnectRate, 1 << 30},
	} {
		if f.value > f.max {
			return fmt.Errorf("limit %s is %d, want at most %d: %w", f.name, f.value, f.max, iot.ErrInvalid)
		}
	}
	switch {
	case l.SessionBytes < 1:
		return fmt.Errorf("limit SessionBytes is %d, want 1 or more: %w", l.SessionBytes, iot.ErrInvalid)
	case l.QueuedBytes < 1:
		return fmt.Errorf("limit QueuedBytes is %d, want 1 or more: %w", l.QueuedBytes, iot.ErrInvalid)
	case l.SessionExpiry > 0 && l.SessionExpiry < time.Second || l.SessionExpiry > maxSessionExpiry:
		return fmt.Errorf("limit SessionExpiry is %v, want %v to %v: %w", l.SessionExpiry, time.Second, maxSessionExpiry, iot.ErrInvalid)
	case l.KeepAliveMax > 0 && l.KeepAliveMin > l.KeepAliveMax:
		return fmt.Errorf("limit KeepAliveMin is %d, above KeepAliveMax with %d: %w", l.KeepAliveMin, l.KeepAliveMax, iot.ErrInvalid)
	}
	return nil
}

// maxSessionExpiry is the longest Session Expiry Interval that is not for ever
// (MQTT 5.0 §3.1.2.11.2).
const maxSessionExpiry = 0xFFFFFFFE * time.Second

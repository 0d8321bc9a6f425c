package awsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Clients is what an operator can see of MQTT clients, and do to them. Every
// function is needed.
type Clients struct {
	// List returns at most limit clients behind an identifier, and by it: those that
	// are connected, those whose sessions wait, or both. A page may be shorter than
	// the limit; the one behind the last client is empty.
	List func(after string, limit int, connected, waiting bool) []Client
	// Get returns a client, also one that has left, or an error wrapping
	// [iot.ErrNotFound].
	Get func(clientID string) (Client, error)
	// Kick ends a client's connection, with cleanSession its session as well, also
	// one that waits, and returns when that is durable. With preventWill the will is
	// not published. The error wraps [iot.ErrNotFound] when there is nothing to end.
	Kick func(ctx context.Context, clientID string, cleanSession, preventWill bool) (Kicked, error)
}

func (c *Clients) complete() bool { return c.List != nil && c.Get != nil && c.Kick != nil }

// Client is an MQTT client that is connected, whose session waits for it, or that
// has left: the answer of GET /fieldline/clients/{clientId}, and an element of
// GET /fieldline/clients?connected=true|false|any&after=CLIENTID&limit=N.
type Client struct {
	ClientID      string    `json:"clientId"`
	Connected     bool      `json:"connected"`
	Thing         string    `json:"thing,omitempty"`
	CertificateID string    `json:"certificateId,omitempty"`
	AccessKey     string    `json:"accessKey,omitempty"` // of a signed WebSocket connection
	Remote        string    `json:"remote,omitempty"`    // host:port; of the last connection
	Version       string    `json:"version,omitempty"`   // of MQTT, "3.1.1" or "5.0"; like the next two, while connected
	Since         time.Time `json:"since,omitzero"`
	KeepAlive     int       `json:"keepAliveSeconds,omitempty"` // 0: none

	Persistent    bool           `json:"persistent"`       // the session outlives the connection
	Expires       time.Time      `json:"expires,omitzero"` // when it ends unless the client returns
	Subscriptions []Subscription `json:"subscriptions"`

	Queue    Queue  `json:"queue"`    // in memory: what is about to be sent
	InFlight int    `json:"inFlight"` // deliveries that the client has not acknowledged
	Stored   Queue  `json:"stored"`   // durable: what the session keeps until it is acknowledged
	Dropped  uint64 `json:"dropped"`  // for want of room in it, since the client was told

	Received Traffic    `json:"received"` // over the connection
	Sent     Traffic    `json:"sent"`
	Left     *Departure `json:"left,omitempty"` // how its connection before ended
}

// Subscription is one of a client's subscriptions.
type Subscription struct {
	Filter            string `json:"filter"`
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"noLocal,omitempty"`
	RetainAsPublished bool   `json:"retainAsPublished,omitempty"`
	RetainHandling    byte   `json:"retainHandling,omitempty"`
	ID                uint32 `json:"id,omitempty"`
}

// Queue is how much waits.
type Queue struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// Traffic is what went in one direction of a connection, and what goes a second,
// over the last five to ten seconds.
type Traffic struct {
	Messages    uint64  `json:"messages"`
	Bytes       uint64  `json:"bytes"`
	MessageRate float64 `json:"messagesPerSecond"`
	ByteRate    float64 `json:"bytesPerSecond"`
}

// Departure is how a connection ended.
type Departure struct {
	At            time.Time `json:"at"`
	Since         time.Time `json:"since"` // its begin
	Reason        string    `json:"reason"`
	Remote        string    `json:"remote"`
	CertificateID string    `json:"certificateId,omitempty"`
}

// Kicked is the answer of
// DELETE /fieldline/clients/{clientId}?cleanSession=B&preventWill=B.
type Kicked struct {
	Connection bool `json:"connection"` // it was connected
	Session    bool `json:"session"`    // its session has ended
}

// maxClients is the largest page of clients.
const maxClients = 1000

func (a *API) clients(_ context.Context, q *request) (any, error) {
	connected, waiting := true, false
	switch which := q.query.Get("connected"); which {
	case "", "true":
	case "false":
		connected, waiting = false, true
	case "any":
		waiting = true
	default:
		return nil, fmt.Errorf("connected=%q is none of true, false and any: %w", which, iot.ErrInvalid)
	}
	limit, err := q.integer("limit", 1, maxClients, maxClients)
	if err != nil {
		return nil, err
	}
	return listed(a.cfg.Insight.Clients.List(q.query.Get("after"), limit, connected, waiting)), nil
}

func (a *API) client(_ context.Context, q *request) (any, error) {
	return a.cfg.Insight.Clients.Get(q.labels["clientId"])
}

func (a *API) kick(ctx context.Context, q *request) (any, error) {
	cleanSession, err := q.boolean("cleanSession")
	if err != nil {
		return nil, err
	}
	preventWill, err := q.boolean("preventWill")
	if err != nil {
		return nil, err
	}
	return a.cfg.Insight.Clients.Kick(ctx, q.labels["clientId"], cleanSession, preventWill)
}

package awsapi

import "time"

// This file holds the answers of Fieldline's own operations, for the server
// that fills them in and the command line that reads them. Lists are bare JSON
// arrays; times are RFC 3339.

// Status is the answer of GET /fieldline/status.
type Status struct {
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Endpoint  string    `json:"endpoint"` // the host name that DescribeEndpoint answers
	Addresses Addresses `json:"addresses"`

	WebSocketAPIID string `json:"webSocketApiId"`
	WebSocketURL   string `json:"webSocketUrl"`
	GatewayURL     string `json:"gatewayUrl"` // dashboard and HTTP API, without a path

	GatewayAccess string `json:"gatewayAccess"` // who may read: GatewayOpen, GatewayOperator or GatewayToken

	Clients     int    `json:"clients"`     // connected over MQTT
	Connections int    `json:"connections"` // connected over WebSocket
	OldestSeq   uint64 `json:"oldestSeq"`   // of the readings in store; 0 when there are none
	LastSeq     uint64 `json:"lastSeq"`
}

// The ways in which the gateway is protected. The operator, and who signs with the
// server's access key, may always read.
const (
	GatewayOpen     = "open"     // everyone may
	GatewayOperator = "operator" // nobody else may
	GatewayToken    = "token"    // bearers of the issuer's tokens may
)

// Addresses are the addresses really bound, host:port, under the keys of the
// ready file; "" is off.
type Addresses struct {
	Device      string `json:"device"` // the first of them
	DeviceHTTPS string `json:"device_https,omitempty"`
	MQTT        string `json:"mqtt,omitempty"`
	Gateway     string `json:"gateway"`
	Control     string `json:"control"`
}

// TappedMessage is one line of GET /fieldline/messages?filter=F: a message on
// its way through. The first line is empty: the listener is in place.
type TappedMessage struct {
	Topic    string    `json:"topic,omitempty"`
	Payload  string    `json:"payload,omitempty"` // when it is UTF-8
	Binary   []byte    `json:"binary,omitempty"`  // the payload otherwise, base64 in JSON
	QoS      byte      `json:"qos,omitempty"`
	ClientID string    `json:"clientId,omitempty"`
	Arrived  time.Time `json:"arrived,omitzero"`
	Dropped  uint64    `json:"dropped,omitempty"` // messages left out before this one: the reader was too slow
}

// LoginLink is the answer of POST /fieldline/login.
type LoginLink struct {
	URL string `json:"url"` // opens the dashboard as its operator, once
}

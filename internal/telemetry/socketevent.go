package telemetry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// SocketEvent is the part of a WebSocket API's event that OnConnect and
// OnDisconnect read.
type SocketEvent struct {
	RequestContext struct {
		ConnectionID string `json:"connectionId"`
		EventType    string `json:"eventType"`   // CONNECT, MESSAGE or DISCONNECT
		ConnectedAt  int64  `json:"connectedAt"` // milliseconds
		RequestID    string `json:"requestId"`
		APIID        string `json:"apiId"`
		Stage        string `json:"stage"`
		Identity     struct {
			SourceIP  string `json:"sourceIp"`
			UserAgent string `json:"userAgent"`
		} `json:"identity"`
	} `json:"requestContext"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// ParseSocketEvent reads an event, which must name a connection. The error wraps
// [iot.ErrInvalid].
func ParseSocketEvent(event []byte) (SocketEvent, error) {
	var e SocketEvent
	if err := json.Unmarshal(event, &e); err != nil || e.RequestContext.ConnectionID == "" {
		return e, fmt.Errorf("the event has no requestContext.connectionId: %w", iot.ErrInvalid)
	}
	return e, nil
}

// IsMessage reports whether a client says something; else it comes or goes.
func (e *SocketEvent) IsMessage() bool { return e.RequestContext.EventType == "MESSAGE" }

// Connection is the connection that the event is of. One that does not say since
// when it is there is there since now.
func (e *SocketEvent) Connection(now time.Time) iot.Connection {
	c := iot.Connection{
		ID: e.RequestContext.ConnectionID, ConnectedAt: now,
		SourceIP: e.RequestContext.Identity.SourceIP, UserAgent: e.RequestContext.Identity.UserAgent,
	}
	if ms := e.RequestContext.ConnectedAt; ms > 0 {
		c.ConnectedAt = time.UnixMilli(ms).UTC()
	}
	return c
}

// Message is what the client says. The error wraps [iot.ErrInvalid].
func (e *SocketEvent) Message() ([]byte, error) {
	if !e.IsBase64Encoded {
		return []byte(e.Body), nil
	}
	text, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, fmt.Errorf("the body is not base64: %w", iot.ErrInvalid)
	}
	return text, nil
}

// tokenProtocol says that the next subprotocol is a token, because a browser
// cannot set other headers of a WebSocket. The answer must name it, and never the
// token, or browsers close the connection.
const tokenProtocol = "access_token"

// Accepted is the answer that lets the client of a CONNECT event in.
func (e *SocketEvent) Accepted() ProxyResponse {
	answer := OK()
	for name, offered := range e.Headers {
		if !strings.EqualFold(name, "Sec-WebSocket-Protocol") {
			continue
		}
		for protocol := range strings.SplitSeq(offered, ",") {
			if strings.TrimSpace(protocol) == tokenProtocol {
				answer.Headers = map[string]string{"Sec-WebSocket-Protocol": tokenProtocol}
			}
		}
	}
	return answer
}

// MessageRefused is what API Gateway says on the connection of a message that it
// cannot route.
func (e *SocketEvent) MessageRefused(message string) []byte {
	text, _ := json.Marshal(struct { // plain text always marshals
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{message, e.RequestContext.ConnectionID, e.RequestContext.RequestID})
	return text
}

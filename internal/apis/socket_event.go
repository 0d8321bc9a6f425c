package apis

import (
	"encoding/base64"
	"net/http"
	"unicode/utf8"
)

// socketEvent is what functions of a WebSocket API are given.
type socketEvent struct {
	Headers         map[string]string   `json:"headers,omitempty"`
	MultiHeaders    map[string][]string `json:"multiValueHeaders,omitempty"`
	Query           map[string]string   `json:"queryStringParameters,omitempty"`
	MultiQuery      map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	StageVariables  map[string]string   `json:"stageVariables,omitempty"`
	RequestContext  socketContext       `json:"requestContext"`
	Body            *string             `json:"body,omitempty"`
	IsBase64Encoded bool                `json:"isBase64Encoded"`
}

type socketContext struct {
	RouteKey          string            `json:"routeKey"`
	MessageID         string            `json:"messageId,omitempty"`
	DisconnectCode    *int              `json:"disconnectStatusCode,omitempty"`
	DisconnectReason  *string           `json:"disconnectReason,omitempty"`
	Authorizer        map[string]string `json:"authorizer,omitempty"`
	EventType         string            `json:"eventType"`
	ExtendedRequestID string            `json:"extendedRequestId"`
	RequestTime       string            `json:"requestTime"`
	Direction         string            `json:"messageDirection"`
	Stage             string            `json:"stage"`
	ConnectedAt       int64             `json:"connectedAt"`
	RequestTimeEpoch  int64             `json:"requestTimeEpoch"`
	Identity          socketIdentity    `json:"identity"`
	RequestID         string            `json:"requestId"`
	DomainName        string            `json:"domainName"`
	ConnectionID      string            `json:"connectionId"`
	APIID             string            `json:"apiId"`
}

type socketIdentity struct {
	AccessKey string `json:"accessKey,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// clfTime is the time format of API Gateway's requestTime.
const clfTime = "02/Jan/2006:15:04:05 -0700"

// domain is the host of an API as AWS names it. Functions that build the address
// of @connections from it are led to this gateway.
func (e *Engine) domain(apiID string) string {
	return apiID + ".execute-api." + e.cfg.Account.Region + ".amazonaws.com"
}

func (s *socket) event(st *stage, kind, key, id string) *socketEvent {
	now := s.e.cfg.Now().UTC()
	return &socketEvent{
		StageVariables: st.variables,
		RequestContext: socketContext{
			RouteKey: key, EventType: kind, Authorizer: s.authorizer, ExtendedRequestID: id, RequestID: id, Direction: "IN",
			RequestTime: now.Format(clfTime), RequestTimeEpoch: now.UnixMilli(), Stage: s.stage, APIID: s.apiID,
			ConnectedAt: s.connection.ConnectedAt.UnixMilli(), ConnectionID: s.connection.ID, DomainName: s.e.domain(s.apiID),
			Identity: socketIdentity{AccessKey: s.accessKey, UserAgent: s.connection.UserAgent, SourceIP: s.connection.SourceIP},
		},
	}
}

func (s *socket) connectEvent(st *stage, r *http.Request, id string) *socketEvent {
	v := s.event(st, "CONNECT", connectRoute, id)
	v.Headers, v.MultiHeaders = headersOf(r)
	v.Query, v.MultiQuery = queryOf(r)
	return v
}

func (s *socket) messageEvent(st *stage, rt *route, message []byte, binary bool, id string) *socketEvent {
	v := s.event(st, "MESSAGE", rt.Key, id)
	body := string(message)
	// Text stays text. What is not text, or is binary by the integration's wish,
	// goes in base64, so that no byte is lost.
	if binary && rt.integration.ContentHandling == "CONVERT_TO_TEXT" || !utf8.Valid(message) {
		body, v.IsBase64Encoded = base64.StdEncoding.EncodeToString(message), true
	}
	v.Body = &body
	v.RequestContext.MessageID = newMessageID()
	return v
}

func (s *socket) disconnectEvent(st *stage, code int, reason, id string) *socketEvent {
	v := s.event(st, "DISCONNECT", disconnectRoute, id)
	v.Headers = map[string]string{"Host": s.e.domain(s.apiID), "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
	v.MultiHeaders = make(map[string][]string, len(v.Headers))
	for name, value := range v.Headers {
		v.MultiHeaders[name] = []string{value}
	}
	v.RequestContext.DisconnectCode, v.RequestContext.DisconnectReason = &code, &reason
	return v
}

// headersOf returns a request's headers with those that a gateway adds: the last
// value of each, and all of them.
func headersOf(r *http.Request) (map[string]string, map[string][]string) {
	last, all := make(map[string]string, len(r.Header)+1), make(map[string][]string, len(r.Header)+1)
	for name, values := range r.Header {
		last[name], all[name] = values[len(values)-1], values
	}
	for name, value := range gatewayHeaders(r) {
		last[name], all[name] = value, []string{value}
	}
	return last, all
}

// gatewayHeaders are the headers that API Gateway sets.
func gatewayHeaders(r *http.Request) map[string]string {
	scheme, port := "http", "80"
	if r.TLS != nil {
		scheme, port = "https", "443"
	}
	return map[string]string{
		"Host": r.Host, "X-Forwarded-For": sourceIP(r), "X-Forwarded-Proto": scheme, "X-Forwarded-Port": portOf(r.Host, port),
	}
}

func queryOf(r *http.Request) (map[string]string, map[string][]string) {
	all := r.URL.Query()
	if len(all) == 0 {
		return nil, nil
	}
	last := make(map[string]string, len(all))
	for name, values := range all {
		last[name] = values[len(values)-1]
	}
	return last, all
}

// newMessageID returns the id of a message: eleven random bytes, as of a connection.
func newMessageID() string {
	return base64.URLEncoding.EncodeToString(randomBytes(11))
}

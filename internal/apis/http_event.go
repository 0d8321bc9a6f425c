package apis

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// httpTime is the time format of HTTP APIs' events.
const httpTime = "02/Jan/2006:15:04:05 -0700"

// requestEvent is what a function of an HTTP API is given in payload format 2.0,
// and what authorizer functions are, with their members and without a body.
type requestEvent struct {
	Version         string            `json:"version"`
	Type            string            `json:"type,omitempty"`
	RouteARN        string            `json:"routeArn,omitempty"`
	IdentitySource  []string          `json:"identitySource,omitempty"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQuery        string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies,omitempty"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext  requestContext    `json:"requestContext"`
	Body            *string           `json:"body,omitempty"`
	Parameters      map[string]string `json:"pathParameters,omitempty"`
	IsBase64Encoded *bool             `json:"isBase64Encoded,omitempty"`
	StageVariables  map[string]string `json:"stageVariables,omitempty"`
}

type requestContext struct {
	AccountID    string      `json:"accountId"`
	APIID        string      `json:"apiId"`
	Authorizer   *callerV2   `json:"authorizer,omitempty"`
	DomainName   string      `json:"domainName"`
	DomainPrefix string      `json:"domainPrefix"`
	HTTP         requestHTTP `json:"http"`
	RequestID    string      `json:"requestId"`
	RouteKey     string      `json:"routeKey"`
	Stage        string      `json:"stage"`
	Time         string      `json:"time"`
	TimeEpoch    int64       `json:"timeEpoch"`
}

type requestHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// callerV2 is what an authorizer found out about the caller.
type callerV2 struct {
	JWT    *callerJWT     `json:"jwt,omitempty"`
	Lambda map[string]any `json:"lambda,omitempty"`
	IAM    *callerIAM     `json:"iam,omitempty"`
}

type callerJWT struct {
	Claims map[string]string `json:"claims"`
	Scopes []string          `json:"scopes"`
}

type callerIAM struct {
	AccessKey string `json:"accessKey"`
	AccountID string `json:"accountId"`
	CallerID  string `json:"callerId"`
	UserARN   string `json:"userArn"`
	UserID    string `json:"userId"`
}

func (e *Engine) caller(g *grant) *callerV2 {
	switch {
	case g.claims != nil:
		return &callerV2{JWT: &callerJWT{Claims: claimTexts(g.claims), Scopes: g.scopes}}
	case g.context != nil:
		return &callerV2{Lambda: g.context}
	case g.accessKey != "":
		account := e.cfg.Account.ID
		return &callerV2{IAM: &callerIAM{
			AccessKey: g.accessKey, AccountID: account, CallerID: g.accessKey, UserARN: "arn:aws:iam::" + account + ":root", UserID: g.accessKey,
		}}
	}
	return nil
}

// claimTexts are a token's claims as API Gateway hands them on: each a text, a
// list in brackets with its elements behind one another.
func claimTexts(claims map[string]any) map[string]string {
	texts := make(map[string]string, len(claims))
	for name, value := range claims {
		list, ok := value.([]any)
		if !ok {
			texts[name] = textOf(value)
			continue
		}
		elements := make([]string, len(list))
		for i, v := range list {
			elements[i] = textOf(v)
		}
		texts[name] = "[" + strings.Join(elements, " ") + "]"
	}
	return texts
}

// rawPath is the path with the stage's name, unless that is $default.
func (c *call) rawPath() string {
	path, err := url.PathUnescape(c.path)
	if err != nil {
		path = c.path
	}
	if c.st.name == defaultStage {
		return path
	}
	return "/" + c.st.name + path
}

func (e *Engine) eventV2(c *call) *requestEvent {
	event := e.baseEvent(c)
	encoded := false
	if len(c.body) > 0 {
		var body string
		body, encoded = bodyText(c.http, c.body)
		event.Body = &body
	}
	event.IsBase64Encoded = &encoded
	event.RequestContext.Authorizer = e.caller(&c.grant)
	return event
}

// authorizerEvent is what an authorizer function of an HTTP API is given.
func (e *Engine) authorizerEvent(c *call, arn string, values []string) any {
	if c.rt.authorizer.PayloadFormat == "1.0" {
		event := e.eventV1(c)
		event.Type, event.MethodARN, event.IdentitySource = "REQUEST", arn, strings.Join(values, ",")
		event.AuthorizationToken, event.Body = event.IdentitySource, nil
		return event
	}
	event := e.baseEvent(c)
	event.Type, event.RouteARN, event.IdentitySource = "REQUEST", arn, values
	return event
}

func (e *Engine) baseEvent(c *call) *requestEvent {
	now := e.cfg.Now().UTC()
	headers := joinedHeaders(c.http)
	event := &requestEvent{
		Version: "2.0", RouteKey: c.rt.Key, RawPath: c.rawPath(), RawQuery: c.http.URL.RawQuery, Headers: headers,
		Parameters: c.parameters, StageVariables: c.st.variables,
		RequestContext: requestContext{
			AccountID: e.cfg.Account.ID, APIID: c.st.apiID, DomainName: e.domain(c.st.apiID), DomainPrefix: c.st.apiID,
			HTTP: requestHTTP{
				Method: c.http.Method, Path: c.rawPath(), Protocol: c.http.Proto, SourceIP: sourceIP(c.http), UserAgent: c.http.UserAgent(),
			},
			RequestID: c.id, RouteKey: c.rt.Key, Stage: c.st.name, Time: now.Format(httpTime), TimeEpoch: now.UnixMilli(),
		},
	}
	for _, line := range c.http.Header.Values("Cookie") {
		for cookie := range strings.SplitSeq(line, ";") {
			event.Cookies = append(event.Cookies, strings.TrimSpace(cookie))
		}
	}
	for name, values := range c.http.URL.Query() {
		if event.Query == nil {
			event.Query = make(map[string]string)
		}
		event.Query[name] = strings.Join(values, ",")
	}
	return event
}

// joinedHeaders are a request's headers as format 2.0 has them: names in lower
// case, values joined by commas, without cookies.
func joinedHeaders(r *http.Request) map[string]string {
	headers := make(map[string]string, len(r.Header)+4)
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	for name, value := range gatewayHeaders(r) {
		headers[strings.ToLower(name)] = value
	}
	return headers
}

// bodyText is a body in an event: as it is when its type says that it is text,
// otherwise in base64.
func bodyText(r *http.Request, body []byte) (text string, encoded bool) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none is binary
	switch {
	case strings.HasPrefix(kind, "text/"), strings.HasSuffix(kind, "+json"), strings.HasSuffix(kind, "+xml"),
		kind == "application/json", kind == "application/xml", kind == "application/javascript":
		if utf8.Valid(body) {
			return string(body), false
		}
	}
	return base64.StdEncoding.EncodeToString(body), true
}

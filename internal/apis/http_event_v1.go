package apis

import (
	"maps"
	"strings"
)

// requestEventV1 is what functions are given in payload format 1.0: the shape of
// REST APIs. Members that have no value are null, as there.
type requestEventV1 struct {
	Version            string              `json:"version"`
	Type               string              `json:"type,omitempty"`
	MethodARN          string              `json:"methodArn,omitempty"`
	IdentitySource     string              `json:"identitySource,omitempty"`
	AuthorizationToken string              `json:"authorizationToken,omitempty"`
	Resource           string              `json:"resource"`
	Path               string              `json:"path"`
	Method             string              `json:"httpMethod"`
	Headers            map[string]string   `json:"headers"`
	MultiHeaders       map[string][]string `json:"multiValueHeaders"`
	Query              map[string]string   `json:"queryStringParameters"`
	MultiQuery         map[string][]string `json:"multiValueQueryStringParameters"`
	RequestContext     requestContextV1    `json:"requestContext"`
	Parameters         map[string]string   `json:"pathParameters"`
	StageVariables     map[string]string   `json:"stageVariables"`
	Body               *string             `json:"body"`
	IsBase64Encoded    bool                `json:"isBase64Encoded"`
}

type requestContextV1 struct {
	AccountID         string         `json:"accountId"`
	APIID             string         `json:"apiId"`
	Authorizer        map[string]any `json:"authorizer,omitempty"`
	DomainName        string         `json:"domainName"`
	DomainPrefix      string         `json:"domainPrefix"`
	ExtendedRequestID string         `json:"extendedRequestId"`
	Method            string         `json:"httpMethod"`
	Identity          identityV1     `json:"identity"`
	Path              string         `json:"path"`
	Protocol          string         `json:"protocol"`
	RequestID         string         `json:"requestId"`
	RequestTime       string         `json:"requestTime"`
	RequestTimeEpoch  int64          `json:"requestTimeEpoch"`
	ResourceID        string         `json:"resourceId"`
	ResourcePath      string         `json:"resourcePath"`
	Stage             string         `json:"stage"`
}

type identityV1 struct {
	AccessKey *string `json:"accessKey"`
	AccountID *string `json:"accountId"`
	SourceIP  string  `json:"sourceIp"`
	UserAgent string  `json:"userAgent"`
}

func (e *Engine) eventV1(c *call) *requestEventV1 {
	now := e.cfg.Now().UTC()
	_, resource, ok := strings.Cut(c.rt.Key, " ")
	if !ok {
		resource = c.rt.Key
	}
	event := &requestEventV1{
		Version: "1.0", Resource: resource, Path: c.rawPath(), Method: c.http.Method, Parameters: c.parameters, StageVariables: c.st.variables,
		RequestContext: requestContextV1{
			AccountID: e.cfg.Account.ID, APIID: c.st.apiID, Authorizer: callerV1(&c.grant),
			DomainName: e.domain(c.st.apiID), DomainPrefix: c.st.apiID,
			ExtendedRequestID: c.id, Method: c.http.Method, Path: c.rawPath(), Protocol: c.http.Proto, RequestID: c.id,
			Identity:    identityV1{SourceIP: sourceIP(c.http), UserAgent: c.http.UserAgent()},
			RequestTime: now.Format(httpTime), RequestTimeEpoch: now.UnixMilli(), ResourceID: c.rt.Key, ResourcePath: resource, Stage: c.st.name,
		},
	}
	if c.grant.accessKey != "" {
		event.RequestContext.Identity.AccessKey, event.RequestContext.Identity.AccountID = &c.grant.accessKey, &e.cfg.Account.ID
	}
	event.Headers, event.MultiHeaders = headersOf(c.http)
	event.Query, event.MultiQuery = queryOf(c.http)
	if len(c.body) > 0 {
		var body string
		body, event.IsBase64Encoded = bodyText(c.http, c.body)
		event.Body = &body
	}
	return event
}

// callerV1 is what an authorizer found out, as format 1.0 has it.
func callerV1(g *grant) map[string]any {
	switch {
	case g.claims != nil:
		return map[string]any{"claims": claimTexts(g.claims), "scopes": g.scopes}
	case g.context != nil:
		all := maps.Clone(g.context)
		all["principalId"], all["integrationLatency"] = g.principal, g.latency
		return all
	}
	return nil
}

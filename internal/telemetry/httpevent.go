package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// HTTPEvent is the part of an HTTP API's event, payload 2.0 or 1.0, that
// FetchIoTData reads.
type HTTPEvent struct {
	Method         string            `json:"httpMethod"` // payload 1.0
	Query          map[string]string `json:"queryStringParameters"`
	RequestContext struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
}

// ParseHTTPEvent reads an event. The error wraps [iot.ErrInvalid].
func ParseHTTPEvent(event []byte) (HTTPEvent, error) {
	var e HTTPEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return e, fmt.Errorf("the event is not an object with queryStringParameters: %w", iot.ErrInvalid)
	}
	return e, nil
}

// maxAnswer bounds a body: AWS takes answers of 6 MB, and quotes in a body count
// twice.
const maxAnswer = 5 << 20

// Answer is FetchIoTData behind an HTTP API: what [Fetch] gives, or a refusal as
// [ProblemOf] says it. The error is why the answer is a failure of the server's
// own, for the log; the answer stands all the same.
func (e *HTTPEvent) Answer(ctx context.Context, r Readings) (ProxyResponse, error) {
	if method := cmp.Or(e.RequestContext.HTTP.Method, e.Method, http.MethodGet); method != http.MethodGet && method != http.MethodHead {
		answer := problemResponse(OnlyGET(method))
		answer.Headers["Allow"] = AllowedMethods
		return answer, nil
	}
	values := make(url.Values, len(e.Query))
	for name, value := range e.Query {
		values.Set(name, value)
	}
	res, err := fetchPage(ctx, r, values)
	if err != nil {
		p := ProblemOf(err)
		if p.Status < http.StatusInternalServerError {
			err = nil
		}
		return problemResponse(p), err
	}
	headers := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"}
	if res.Cursor != "" {
		headers["Link"] = NextLink(values, res.Cursor)
	}
	return ProxyResponse{http.StatusOK, headers, string(res.Body)}, nil
}

func fetchPage(ctx context.Context, r Readings, values url.Values) (Response, error) {
	query, err := ParseQuery(values)
	if err != nil {
		return Response{}, err
	}
	res, err := Fetch(ctx, r, query)
	if err == nil && len(res.Body) > maxAnswer {
		return res, &ParameterError{
			Name: "limit", Value: values.Get("limit"), Want: fmt.Sprintf("fewer: the page has %d bytes, a function answers at most %d", len(res.Body), maxAnswer),
		}
	}
	return res, err
}

func problemResponse(p Problem) ProxyResponse {
	body, _ := json.Marshal(p) // plain text always marshals
	return ProxyResponse{p.Status, map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"}, string(body)}
}

// NextLink is the Link header (RFC 8288) to the page at a cursor, relative to the
// address of this one, which a function behind an API does not know. It is without
// this one's token or signature: those are secret or good for one query only.
func NextLink(query url.Values, cursor string) string {
	next := maps.Clone(query)
	maps.DeleteFunc(next, func(name string, _ []string) bool {
		return name == "access_token" || strings.HasPrefix(name, "X-Amz-")
	})
	next.Set("cursor", cursor)
	return "<?" + next.Encode() + `>; rel="next"`
}

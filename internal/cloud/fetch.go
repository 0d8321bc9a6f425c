package cloud

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// response is what a function behind an API answers.
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
}

// httpEvent is the part of an HTTP API's event, payload 2.0 or 1.0, that
// FetchIoTData reads.
type httpEvent struct {
	RawPath        string            `json:"rawPath"`
	Method         string            `json:"httpMethod"` // payload 1.0
	Query          map[string]string `json:"queryStringParameters"`
	RequestContext struct {
		Path string `json:"path"` // payload 1.0
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
}

// FetchIoTData returns the function that answers GET /iotdata.
func FetchIoTData(ctx context.Context) (*Function, error) {
	f, err := newFunction(ctx)
	if err != nil {
		return nil, err
	}
	f.serve = f.fetch
	return f, nil
}

// maxAnswer bounds a body: AWS takes answers of 6 MB, and quotes in a body count
// twice.
const maxAnswer = 5 << 20

func (f *Function) fetch(ctx context.Context, in *invocation, event []byte) ([]byte, error) {
	var e httpEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("the event is not an object with queryStringParameters: %w", iot.ErrInvalid)
	}
	if method := cmp.Or(e.RequestContext.HTTP.Method, e.Method, http.MethodGet); method != http.MethodGet && method != http.MethodHead {
		return problemAnswer(telemetry.Problem{
			Type: "about:blank", Title: "only GET is answered here", Status: http.StatusMethodNotAllowed, Detail: method,
		}, "Allow", "GET, HEAD, OPTIONS")
	}
	values := make(url.Values, len(e.Query))
	for name, value := range e.Query {
		values.Set(name, value)
	}
	res, err := f.page(ctx, values)
	if err != nil {
		p := telemetry.ProblemOf(err)
		if p.Status >= 500 {
			in.log.Error("request failed", "err", err)
		}
		return problemAnswer(p)
	}
	headers := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"}
	if res.Cursor != "" {
		values.Set("cursor", res.Cursor)
		path := cmp.Or(e.RawPath, e.RequestContext.Path, "/"+f.settings.stage+"/iotdata")
		headers["Link"] = "<" + path + "?" + values.Encode() + `>; rel="next"`
	}
	return encode(response{http.StatusOK, headers, string(res.Body)})
}

func (f *Function) page(ctx context.Context, values url.Values) (telemetry.Response, error) {
	query, err := telemetry.ParseQuery(values)
	if err != nil {
		return telemetry.Response{}, err
	}
	res, err := telemetry.Fetch(ctx, f.tables, query)
	if err == nil && len(res.Body) > maxAnswer {
		return res, &telemetry.ParameterError{
			Name: "limit", Value: values.Get("limit"), Want: fmt.Sprintf("fewer: the page has %d bytes, a function answers at most %d", len(res.Body), maxAnswer),
		}
	}
	return res, err
}

// problemAnswer answers a refusal, with more headers as names and values.
func problemAnswer(p telemetry.Problem, more ...string) ([]byte, error) {
	headers := map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
	for i := 0; i+1 < len(more); i += 2 {
		headers[more[i]] = more[i+1]
	}
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	return encode(response{p.Status, headers, string(body)})
}

func encode(document any) ([]byte, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return text, nil
}

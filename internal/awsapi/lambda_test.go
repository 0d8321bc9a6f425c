package awsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// functions is a Lambda whose every call is a field.
type functions struct {
	invoke func(iot.Invocation) (iot.Answer, error)
	create func(iot.Function, []byte) (iot.Function, error)
	later  []iot.Invocation
}

func (f *functions) Function(name string) (iot.Function, error) { return iot.Function{Name: name}, nil }

func (f *functions) Functions(string, int) ([]iot.Function, error) { return nil, nil }

func (f *functions) Code(string) ([]byte, error) { return []byte("zip"), nil }

func (f *functions) CreateFunction(fn iot.Function, archive []byte) (iot.Function, error) {
	return f.create(fn, archive)
}

func (f *functions) UpdateCode(string, string, []byte, bool) (iot.Function, error) {
	return iot.Function{}, fmt.Errorf("too much: %w", iot.ErrLimit)
}

func (f *functions) UpdateFunction(name, _ string, change func(*iot.Function) error) (iot.Function, error) {
	fn := iot.Function{Name: name}
	return fn, change(&fn)
}

func (f *functions) DeleteFunction(string) error { return nil }

func (f *functions) Invoke(_ context.Context, in iot.Invocation) (iot.Answer, error) {
	return f.invoke(in)
}

func (f *functions) InvokeAsync(_ context.Context, in iot.Invocation) error {
	f.later = append(f.later, in)
	return nil
}

func newLambdaAPI(t *testing.T, f *functions) *API {
	t.Helper()
	cfg := newMemory().config()
	cfg.Lambda = Lambda{Functions: f, Editor: f, Invoker: f}
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

const invocations = "/2015-03-31/functions/ProcessIoTData/invocations"

func TestInvokeAnswers(t *testing.T) {
	overloaded := fmt.Errorf("busy: %w", iot.ErrOverloaded)
	tests := []struct {
		name         string
		header       map[string]string
		body         string
		answer       iot.Answer
		err          error
		status       int
		code, result string // the error's code or the function's error; the body
	}{
		{"the payload as it is", nil, `{"a":1}`, iot.Answer{Payload: []byte("1.50")}, nil, 200, "", "1.50"},
		{"a function's failure is a success of Invoke", nil, `{}`, iot.Answer{Payload: []byte(`{"errorMessage":"no"}`), Error: "Unhandled"}, nil, 200, "Unhandled", `{"errorMessage":"no"}`},
		{"a throttle", nil, `{}`, iot.Answer{}, overloaded, 429, "TooManyRequestsException", ""},
		{"what is not JSON", nil, `{`, iot.Answer{}, nil, 400, "InvalidRequestContentException", ""},
		{"a client context that is not base64", map[string]string{"X-Amz-Client-Context": "{}"}, `{}`, iot.Answer{}, nil, 400, "InvalidRequestContentException", ""},
		{"an event", map[string]string{"X-Amz-Invocation-Type": "Event"}, `{}`, iot.Answer{}, nil, 202, "", ""},
		{"an event beyond 1 MB", map[string]string{"X-Amz-Invocation-Type": "Event"}, `"` + strings.Repeat("x", 1<<20) + `"`, iot.Answer{}, nil, 413, "RequestTooLargeException", ""},
		{"a dry run", map[string]string{"X-Amz-Invocation-Type": "DryRun"}, ``, iot.Answer{}, nil, 204, "", ""},
		{"another kind", map[string]string{"X-Amz-Invocation-Type": "Maybe"}, ``, iot.Answer{}, nil, 400, "InvalidParameterValueException", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &functions{invoke: func(iot.Invocation) (iot.Answer, error) { return tt.answer, tt.err }}
			w := call{service: "lambda", method: "POST", target: invocations, header: tt.header, body: tt.body}.do(newLambdaAPI(t, f))
			code := w.Header().Get("x-amzn-ErrorType") + w.Header().Get("X-Amz-Function-Error")
			if w.Code != tt.status || code != tt.code || tt.result != "" && w.Body.String() != tt.result {
				t.Errorf("%d %s %s", w.Code, code, w.Body)
			}
			if (len(f.later) == 1) != (tt.status == 202) {
				t.Errorf("recorded %v", f.later)
			}
		})
	}
}

func TestCreateFunctionTakesAZipOfManyMegabytes(t *testing.T) {
	var got int
	f := &functions{create: func(fn iot.Function, archive []byte) (iot.Function, error) {
		got = len(archive)
		return fn, nil
	}}
	body, err := json.Marshal(map[string]any{
		"FunctionName": "hello", "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::123456789012:role/r",
		"Code": map[string]any{"ZipFile": make([]byte, 5<<20)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := call{service: "lambda", method: "POST", target: "/2015-03-31/functions", body: string(body)}.do(newLambdaAPI(t, f))
	if w.Code != 201 || got != 5<<20 || !strings.Contains(w.Body.String(), `"State":"Active"`) {
		t.Errorf("%d %s, %d bytes", w.Code, w.Body, got)
	}
}

func TestLambdaErrorsHaveLambdasNames(t *testing.T) {
	f := &functions{create: func(fn iot.Function, _ []byte) (iot.Function, error) {
		return fn, fmt.Errorf("function %q: %w", fn.Name, iot.ErrExists)
	}}
	api := newLambdaAPI(t, f)
	create := `{"FunctionName":"hello","Role":"arn:aws:iam::123456789012:role/r","Code":{"ZipFile":"UEs="}%s}`
	tests := []struct {
		name, method, target, body, code, says string
	}{
		{"a name that is taken", "POST", "/2015-03-31/functions", fmt.Sprintf(create, ""), "ResourceConflictException", "Function already exist: hello"},
		{"a member that is not here", "POST", "/2015-03-31/functions", fmt.Sprintf(create, `,"Layers":["arn"]`), "InvalidParameterValueException", "Layers"},
		{"too much code", "PUT", "/2015-03-31/functions/ProcessIoTData/code", `{"ZipFile":"UEs="}`, "CodeStorageExceededException", "too much"},
		{"no such function", "GET", "/2015-03-31/functions/none", "", "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:none"},
		{"an alias", "GET", "/2015-03-31/functions/ProcessIoTData?Qualifier=live", "", "InvalidParameterValueException", "live"},
		{"an operation that is not here", "POST", "/2015-03-31/functions/ProcessIoTData/versions", "{}", codeUnsupported, "PublishVersion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call{service: "lambda", method: tt.method, target: tt.target, body: tt.body}.do(api)
			if w.Header().Get("x-amzn-ErrorType") != tt.code || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

func TestWithoutItsEngineLambdaHasPermissionsOnly(t *testing.T) {
	w := call{service: "lambda", method: "POST", target: invocations, body: "{}"}.do(newTestAPI(t, newMemory()))
	if w.Header().Get("x-amzn-ErrorType") != codeUnsupported || !strings.Contains(w.Body.String(), "Invoke of AWS Lambda") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

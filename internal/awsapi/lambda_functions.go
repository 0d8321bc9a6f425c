package awsapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// Bounds of Lambda's requests.
const (
	maxLambdaBody  = 70 << 20 // bytes: 50 MB of zip in base64
	invokePatience = 16 * time.Minute
	codeLinkLife   = 10 * time.Minute // of GetFunction's Code.Location, as on AWS
	functionsPage  = 50
)

func (a *API) lambdaFunctionOperations() []operation {
	const function, reserved = "/2015-03-31/functions/{FunctionName}", "/2017-10-31/functions/{FunctionName}/concurrency"
	const events, tags = "/2019-09-25/functions/{FunctionName}/event-invoke-config", "/2017-03-31/tags/{Resource}"
	return []operation{
		{"CreateFunction", "POST", "/2015-03-31/functions", 201, a.createFunction},
		{"GetFunction", "GET", function, 200, a.getFunction},
		{"GetFunctionConfiguration", "GET", function + "/configuration", 200, a.getFunctionConfiguration},
		{"ListFunctions", "GET", "/2015-03-31/functions", 200, a.listFunctions},
		{"ListVersionsByFunction", "GET", function + "/versions", 200, a.listVersions},
		{"UpdateFunctionCode", "PUT", function + "/code", 200, a.updateFunctionCode},
		{"UpdateFunctionConfiguration", "PUT", function + "/configuration", 200, a.updateFunctionConfiguration},
		{"DeleteFunction", "DELETE", function, 204, a.deleteFunction},
		{"Invoke", "POST", function + "/invocations", 200, a.invokeFunction},
		{"InvokeAsync", "POST", "/2014-11-13/functions/{FunctionName}/invoke-async", 202, a.invokeAsync},
		{"PutFunctionConcurrency", "PUT", reserved, 200, a.putConcurrency},
		{"DeleteFunctionConcurrency", "DELETE", reserved, 204, a.deleteConcurrency},
		{"GetFunctionConcurrency", "GET", "/2019-09-30/functions/{FunctionName}/concurrency", 200, a.getConcurrency},
		{"PutFunctionEventInvokeConfig", "PUT", events, 200, a.putEventConfig},
		{"GetFunctionEventInvokeConfig", "GET", events, 200, a.getEventConfig},
		{"DeleteFunctionEventInvokeConfig", "DELETE", events, 204, a.deleteEventConfig},
		{"ListTags", "GET", tags, 200, a.listFunctionTags},
		{"TagResource", "POST", tags, 204, a.tagFunction},
		{"UntagResource", "DELETE", tags, 204, a.untagFunction},
		{"GetAccountSettings", "GET", "/2016-08-19/account-settings", 200, a.accountSettings},
	}
}

type functionEnvironment struct{ Variables map[string]string }

type sized struct{ Size int }

type tracing struct{ Mode string }

// functionAnswer is a FunctionConfiguration.
type functionAnswer struct {
	FunctionName     string
	FunctionArn      string
	Runtime          string
	Role             string
	Handler          string
	CodeSize         int64
	Description      string
	Timeout          int
	MemorySize       int
	LastModified     string
	CodeSha256       string
	Version          string
	Environment      *functionEnvironment `json:",omitempty"`
	TracingConfig    tracing
	RevisionID       string `json:"RevisionId"`
	State            string
	LastUpdateStatus string
	PackageType      string
	Architectures    []string
	EphemeralStorage sized
	SnapStart        struct{ ApplyOn, OptimizationStatus string }
	LoggingConfig    struct{ LogFormat, LogGroup string }
}

// lambdaTime is how Lambda writes a moment.
func lambdaTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func (a *API) functionAnswer(f *iot.Function) functionAnswer {
	answer := functionAnswer{
		FunctionName: f.Name, FunctionArn: a.functionARN(f.Name), Runtime: f.Runtime, Role: f.Role, Handler: f.Handler,
		CodeSize: f.CodeSize, Description: f.Description, Timeout: f.Timeout, MemorySize: f.Memory,
		LastModified: lambdaTime(f.Modified), CodeSha256: f.CodeSHA256, Version: "$LATEST", RevisionID: f.Revision,
		TracingConfig: tracing{"PassThrough"}, State: "Active", LastUpdateStatus: "Successful", PackageType: "Zip",
		Architectures: []string{f.Architecture}, EphemeralStorage: sized{f.Ephemeral},
	}
	answer.SnapStart.ApplyOn, answer.SnapStart.OptimizationStatus = "None", "Off"
	answer.LoggingConfig.LogFormat, answer.LoggingConfig.LogGroup = "Text", "/aws/lambda/"+f.Name
	if len(f.Environment) > 0 {
		answer.Environment = &functionEnvironment{f.Environment}
	}
	return answer
}

func (a *API) createFunction(_ context.Context, q *request) (any, error) {
	var in struct {
		functionInput
		FunctionName  string
		Code          codeInput
		PackageType   string
		Architectures []string
		Tags          map[string]string

		Publish                         bool
		CodeSigningConfigArn, PublishTo string
		TenancyConfig                   any
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	name, err := a.readFunctionName(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.Role == nil {
		return nil, required("role")
	}
	arch, archErr := architecture(in.Architectures)
	err = errors.Join(refuseMembers(present{"PackageType=" + in.PackageType, in.PackageType != "" && in.PackageType != "Zip"},
		present{"Publish", in.Publish}, present{"CodeSigningConfigArn", in.CodeSigningConfigArn != ""},
		present{"PublishTo", in.PublishTo != ""}, present{"TenancyConfig", in.TenancyConfig != nil}),
		in.check("/aws/lambda/"+name), archErr)
	if err == nil {
		err = in.Code.check()
	}
	if err != nil {
		return nil, err
	}
	f := iot.Function{Name: name, Architecture: arch, Tags: in.Tags}
	in.apply(&f)
	f, err = a.cfg.Lambda.Editor.CreateFunction(f, in.Code.ZipFile)
	if errors.Is(err, iot.ErrExists) {
		return nil, newFault("ResourceConflictException", "Function already exist: "+name)
	}
	return a.changed(f, err)
}

// changed is the answer to a change of a function.
func (a *API) changed(f iot.Function, err error) (any, error) {
	if errors.Is(err, iot.ErrLimit) {
		return nil, coded("CodeStorageExceededException", err)
	}
	if err != nil {
		return nil, err
	}
	return a.functionAnswer(&f), nil
}

// function reads the function that a request is about.
func (a *API) function(q *request) (iot.Function, error) {
	name, err := a.functionName(q)
	if err != nil {
		return iot.Function{}, err
	}
	return a.cfg.Lambda.Functions.Function(name)
}

func (a *API) getFunction(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err != nil {
		return nil, err
	}
	type location struct {
		RepositoryType string
		Location       string `json:",omitempty"`
	}
	type concurrency struct{ ReservedConcurrentExecutions int }
	answer := struct {
		Configuration functionAnswer
		Code          location
		Tags          map[string]string `json:",omitempty"`
		Concurrency   *concurrency      `json:",omitempty"`
	}{Configuration: a.functionAnswer(&f), Code: location{RepositoryType: "Fieldline"}, Tags: f.Tags}
	if f.Reserved != nil {
		answer.Concurrency = &concurrency{*f.Reserved}
	}
	if !f.BuiltIn {
		answer.Code.Location, err = a.codeLink(q, f.Name)
	}
	return answer, err
}

// codeLink is a URL that downloads a function's zip, for a while, for whoever has
// it.
func (a *API) codeLink(q *request, name string) (string, error) {
	secret, _ := a.cfg.Secret(q.accessKey)
	link := url.URL{Scheme: "http", Host: q.http.Host, Path: "/fieldline/functions/" + name + "/code"}
	r, err := http.NewRequest(http.MethodGet, link.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	sigv4.Presign(r, sigv4.Credentials{AccessKeyID: q.accessKey, SecretAccessKey: secret}, "lambda", a.cfg.Account.Region, a.cfg.Now(), codeLinkLife)
	return r.URL.String(), nil
}

func (a *API) downloadCode(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	code, err := a.cfg.Lambda.Functions.Code(name)
	if err != nil {
		return nil, err
	}
	return raw{status: http.StatusOK, contentType: "application/zip", body: code}, nil
}

func (a *API) getFunctionConfiguration(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err != nil {
		return nil, err
	}
	return a.functionAnswer(&f), nil
}

func (a *API) listFunctions(_ context.Context, q *request) (any, error) {
	if q.query.Get("MasterRegion") != "" {
		return nil, refuseMembers(present{"MasterRegion", true})
	}
	p, err := q.paging("Marker", "MaxItems", 10_000)
	if err != nil {
		return nil, err
	}
	p.size = min(p.size, functionsPage)
	list, err := a.cfg.Lambda.Functions.Functions(p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	list, next := take(p, list, func(f *iot.Function) string { return f.Name })
	return struct {
		NextMarker string `json:",omitempty"`
		Functions  []functionAnswer
	}{next, each(list, a.functionAnswer)}, nil
}

func (a *API) listVersions(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err != nil {
		return nil, err
	}
	answer := a.functionAnswer(&f)
	answer.FunctionArn += ":$LATEST"
	return struct{ Versions []functionAnswer }{[]functionAnswer{answer}}, nil
}

func (a *API) updateFunctionCode(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	var in struct {
		codeInput
		DryRun        bool
		RevisionID    string `json:"RevisionId"`
		Architectures []string

		Publish   bool
		PublishTo string
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := cmp.Or(refuseMembers(present{"Publish", in.Publish}, present{"PublishTo", in.PublishTo != ""}), in.check()); err != nil {
		return nil, err
	}
	f, err := a.cfg.Lambda.Functions.Function(name)
	if err != nil {
		return nil, err
	}
	if arch, err := architecture(in.Architectures); err != nil || arch != "" && !slices.Equal(in.Architectures, []string{f.Architecture}) {
		return nil, cmp.Or(err, refuseMembers(present{"Architectures other than the function's", true}))
	}
	return a.changed(a.cfg.Lambda.Editor.UpdateCode(name, in.RevisionID, in.ZipFile, in.DryRun))
}

func (a *API) updateFunctionConfiguration(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	var in struct {
		functionInput
		RevisionID string `json:"RevisionId"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check("/aws/lambda/" + name); err != nil {
		return nil, err
	}
	return a.changed(a.cfg.Lambda.Editor.UpdateFunction(name, in.RevisionID, func(f *iot.Function) error {
		in.apply(f)
		return nil
	}))
}

func (a *API) deleteFunction(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Lambda.Editor.DeleteFunction(name)
}

package awsapi

import (
	"cmp"
	"context"
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// operationNames lists the REST operations of the AWS services that are served
// here in part, one a line: SigV4 signing name, method, path, operation. It
// names what is refused.
//
//go:embed operations.txt
var operationNames string

// operation is one row of a service's table. Path segments in braces are labels;
// a last one that ends in + takes the rest of the path.
type operation struct {
	name   string
	method string
	path   string // of a REST service; "" where Action selects the operation
	status int    // of a success
	// handle performs the operation; nil refuses it by its name. The result is
	// written as the service's protocol has it: nil is an empty body.
	handle func(ctx context.Context, q *request) (any, error)
}

// service is one AWS service, or Fieldline's own.
type service struct {
	label     string // in metrics and the log
	title     string // in messages
	anyRegion bool   // answers for every region
	unsigned  bool   // answers anybody
	wire      wire
	words     vocabulary
	maxBody   int64         // of a request, in bytes; 0: maxBody
	timeout   time.Duration // of an operation; 0: writeTimeout
	// operations are those that the service performs.
	operations []operation
	// find returns the operation that a request asks for, with the request's
	// labels set, or an error that names what is not supported.
	find func(q *request) (operation, error)
}

// newServices returns the services whose engines are there, by their SigV4
// signing names.
func (a *API) newServices() map[string]*service {
	services := a.everyService()
	for name, there := range map[string]bool{
		"apigateway": a.cfg.APIGateway.APIs != nil,
		executeAPI:   a.cfg.Sockets != nil,
		"dynamodb":   a.cfg.DynamoDB.complete(),
		"iam":        a.cfg.IAM.complete(),
		"logs":       a.cfg.Logs.complete(),
	} {
		if !there {
			delete(services, name)
		}
	}
	if a.cfg.Lambda.Functions == nil {
		services["lambda"] = restService("lambda", "AWS Lambda", lambdaJSON{}, lambdaWords(), a.permissionOperations())
	}
	return services
}

// everyService returns all services, also those whose engines are not there.
func (a *API) everyService() map[string]*service {
	iotOperations := slices.Concat(a.thingOperations(), a.certificateOperations(), a.caOperations(), a.policyOperations(),
		a.attachmentOperations(), a.ruleOperations(), a.destinationOperations(), a.endpointOperations())
	return map[string]*service{
		"iot":     restService("iot", "AWS IoT", restJSON{}, iotWords(), iotOperations),
		"iotdata": restService("iotdata", "AWS IoT Data Plane", restJSON{}, iotDataWords(), a.iotDataOperations()),
		"lambda":  a.lambdaService(),
		"sts":     queryService("sts", "AWS STS", "https://sts.amazonaws.com/doc/2011-06-15/", a.stsOperations()),
		"fieldline": {
			label: "fieldline", title: "Fieldline", anyRegion: true, wire: restJSON{}, words: iotWords(),
			find: newRoutes(slices.Concat(a.fieldlineOperations(), a.lifecycleOperations(), a.workbenchOperations(), a.deadLetterOperations())).find("Fieldline"),
		},
		"apigateway": restService("apigateway", "Amazon API Gateway", restJSON{}, apiGatewayWords(), a.apiGatewayOperations()),
		executeAPI:   restService(executeAPI, "the API Gateway Management API", restJSON{}, connectionWords(), a.connectionOperations()),
		"dynamodb":   a.dynamoDBService(),
		"iam":        a.iamService(),
		"logs":       a.logsService(),
	}
}

// restService is a service whose operations are told apart by method and path.
func restService(name, title string, w wire, words vocabulary, operations []operation) *service {
	routes := newRoutes(operations)
	for line := range strings.Lines(operationNames) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == name && !routes.has(f[3]) {
			routes.add(operation{name: f[3], method: f[1], path: f[2]})
		}
	}
	routes.sort()
	return &service{label: name, title: title, wire: w, words: words, operations: operations, find: routes.find(title)}
}

// targetService is a service whose operations X-Amz-Target names, behind a
// prefix such as DynamoDB_20120810.
func targetService(name, title, prefix string, w wire, words vocabulary, operations []operation) *service {
	find := func(q *request) (operation, error) {
		target := q.http.Header.Get("X-Amz-Target")
		asked, ok := strings.CutPrefix(target, prefix+".")
		if !ok {
			return operation{}, unsupported(title, "X-Amz-Target "+target)
		}
		return named(operations, title, asked)
	}
	return &service{label: name, title: title, wire: w, words: words, operations: operations, find: find}
}

// queryService is a service of the query protocol: the parameter Action names
// the operation. It answers for every region.
func queryService(name, title, namespace string, operations []operation) *service {
	find := func(q *request) (operation, error) {
		action := q.form().Get("Action")
		if action == "" {
			return operation{}, newFault("MissingAction", "The request has no Action parameter.")
		}
		return named(operations, title, action)
	}
	return &service{label: name, title: title, anyRegion: true, wire: query{namespace}, words: stsWords(), operations: operations, find: find}
}

// named returns the operation of a name, or refuses what is not there by it.
func named(operations []operation, title, name string) (operation, error) {
	for _, op := range operations {
		if op.name == name {
			return op, nil
		}
	}
	return operation{}, unsupported(title, name)
}

// serviceOf tells which service a request is for: by the name in its signature,
// as that alone tells some services apart. CLIs before 2.10 sign iot as
// execute-api, so an execute-api request is for iot unless its path says that it
// is for the management API of WebSocket connections.
func (a *API) serviceOf(r *http.Request) *service {
	scope, _ := sigv4.ReadScope(r)
	name := scope.Service
	if name == "execute-api" && !strings.Contains(r.URL.Path, "@connections") {
		name = "iot"
	}
	if svc := a.services[name]; svc != nil {
		return svc
	}
	return unservedService(name, r)
}

// unsupported refuses an operation by its name.
func unsupported(title, operation string) error {
	return newFault(codeUnsupported, operation+" of "+title+" is not supported by Fieldline")
}

// routes is the table of a REST service, most literal paths first.
type routes struct{ list []route }

type route struct {
	segments []string
	operation
}

func newRoutes(operations []operation) *routes {
	rs := &routes{}
	for _, op := range operations {
		rs.add(op)
	}
	rs.sort()
	return rs
}

func (rs *routes) add(op operation) {
	rs.list = append(rs.list, route{strings.Split(strings.Trim(op.path, "/"), "/"), op})
}

func (rs *routes) has(name string) bool {
	return slices.ContainsFunc(rs.list, func(r route) bool { return r.name == name })
}

func (rs *routes) sort() {
	slices.SortStableFunc(rs.list, func(a, b route) int { return cmp.Compare(a.labels(), b.labels()) })
}

func (r *route) labels() int { return strings.Count(r.path, "{") }

// find returns a service's find function over the table.
func (rs *routes) find(title string) func(*request) (operation, error) {
	return func(q *request) (operation, error) {
		path := strings.Split(strings.TrimPrefix(q.http.URL.EscapedPath(), "/"), "/")
		for i := range rs.list {
			r := &rs.list[i]
			labels, ok := r.match(path)
			if !ok || r.method != q.http.Method {
				continue
			}
			if r.handle == nil {
				return operation{}, unsupported(title, r.name)
			}
			q.labels = labels
			return r.operation, q.parseQuery()
		}
		return operation{}, unsupported(title, q.http.Method+" "+q.http.URL.Path)
	}
}

// match matches escaped path segments and returns the labels, unescaped. An
// escaped slash stays inside its label.
func (r *route) match(path []string) (map[string]string, bool) {
	labels := make(map[string]string, 2)
	for i, want := range r.segments {
		if i >= len(path) {
			return nil, false
		}
		have := path[i]
		name, isLabel := strings.CutPrefix(strings.TrimSuffix(want, "}"), "{")
		rest, greedy := strings.CutSuffix(name, "+")
		if greedy {
			have = strings.Join(path[i:], "/")
		}
		text, err := url.PathUnescape(have)
		if err != nil || !isLabel && text != want {
			return nil, false
		}
		if isLabel {
			labels[rest] = text
		}
		if greedy {
			return labels, text != ""
		}
	}
	return labels, len(path) == len(r.segments)
}

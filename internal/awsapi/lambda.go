package awsapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func (a *API) permissionOperations() []operation {
	return []operation{
		{"AddPermission", "POST", "/2015-03-31/functions/{FunctionName}/policy", 201, a.addPermission},
		{"RemovePermission", "DELETE", "/2015-03-31/functions/{FunctionName}/policy/{StatementId}", 204, a.removePermission},
		{"GetPolicy", "GET", "/2015-03-31/functions/{FunctionName}/policy", 200, a.getFunctionPolicy},
	}
}

// lambdaService is Lambda; its requests may hold a zip, and its answers may take
// as long as a function does.
func (a *API) lambdaService() *service {
	operations := append(a.permissionOperations(), a.lambdaFunctionOperations()...)
	download := operation{"DownloadFunctionCode", "GET", "/fieldline/functions/{FunctionName}/code", 200, a.downloadCode}
	s := restService("lambda", "AWS Lambda", lambdaJSON{}, lambdaWords(), append(operations, download))
	s.operations = operations // the download is ours: GetFunction answers where it is
	s.maxBody, s.timeout = maxLambdaBody, invokePatience
	return s
}

// functionPolicy is a function's resource policy as AWS writes it.
type functionPolicy struct {
	Version   string
	ID        string `json:"Id"`
	Statement []functionStatement
}

// functionStatement is one statement of it, a permission.
type functionStatement struct {
	Sid       string
	Effect    string
	Principal any // "*", or {"Service": …} or {"AWS": …}
	Action    string
	Resource  string
	Condition *functionCondition `json:",omitempty"`
}

type functionCondition struct {
	StringEquals map[string]string `json:",omitempty"`
	ArnLike      map[string]string `json:",omitempty"`
}

func (a *API) functionARN(name string) string {
	return a.cfg.Account.ARN("lambda", "function:"+name)
}

func (a *API) functionStatement(p *iot.Permission) functionStatement {
	s := functionStatement{
		Sid: p.StatementID, Effect: "Allow", Principal: a.functionPrincipal(p.Principal),
		Action: p.Action, Resource: a.functionARN(p.Function),
	}
	if p.SourceARN != "" || p.SourceAccount != "" {
		s.Condition = &functionCondition{}
	}
	if p.SourceAccount != "" {
		s.Condition.StringEquals = map[string]string{"AWS:SourceAccount": p.SourceAccount}
	}
	if p.SourceARN != "" {
		s.Condition.ArnLike = map[string]string{"AWS:SourceArn": p.SourceARN}
	}
	return s
}

func (a *API) functionPrincipal(principal string) any {
	switch {
	case principal == "*":
		return principal
	case len(principal) == 12 && strings.Trim(principal, "0123456789") == "":
		return map[string]string{"AWS": "arn:aws:iam::" + principal + ":root"}
	case strings.HasPrefix(principal, "arn:"):
		return map[string]string{"AWS": principal}
	default:
		return map[string]string{"Service": principal}
	}
}

// functionName reads the function that a request is about: a name, an ARN, or
// account:function:name. Versions and aliases are refused by name.
func (a *API) functionName(q *request) (string, error) {
	if err := checkQualifier(q.query.Get("Qualifier")); err != nil {
		return "", err
	}
	return a.knownFunction(q.labels["FunctionName"])
}

// knownFunction is readFunctionName for a function that must exist.
func (a *API) knownFunction(given string) (string, error) {
	name, err := a.readFunctionName(given)
	if err == nil && !a.cfg.Functions.Exists(name) {
		return "", newFault("ResourceNotFoundException", "Function not found: "+a.functionARN(name))
	}
	return name, err
}

func (a *API) readFunctionName(given string) (string, error) {
	name := given
	if strings.HasPrefix(given, "arn:") {
		resource, err := a.cfg.Account.Resource("lambda", given)
		if err != nil {
			return "", err
		}
		name = resource
	} else {
		name = strings.TrimPrefix(name, a.cfg.Account.ID+":")
	}
	name, qualifier, _ := strings.Cut(strings.TrimPrefix(name, "function:"), ":")
	if err := (constraint{1, 140, "-_."}).check("functionName", name); err != nil {
		return "", err
	}
	return name, checkQualifier(qualifier)
}

func checkQualifier(qualifier string) error {
	if qualifier != "" && qualifier != "$LATEST" {
		return fmt.Errorf("qualifier %s: versions and aliases of functions are %w by Fieldline", qualifier, iot.ErrUnsupported)
	}
	return nil
}

// addPermissionInput is the body of AddPermission.
type addPermissionInput struct {
	StatementID   string `json:"StatementId"`
	Action        string
	Principal     string
	SourceArn     string
	SourceAccount string
	RevisionID    string `json:"RevisionId"`

	// Members that Fieldline refuses.
	EventSourceToken      string
	PrincipalOrgID        string
	FunctionURLAuthType   string `json:"FunctionUrlAuthType"`
	InvokedViaFunctionURL bool   `json:"InvokedViaFunctionUrl"`
}

func (in *addPermissionInput) check() error {
	err := refuseMembers(present{"EventSourceToken", in.EventSourceToken != ""}, present{"PrincipalOrgID", in.PrincipalOrgID != ""},
		present{"FunctionUrlAuthType", in.FunctionURLAuthType != ""}, present{"InvokedViaFunctionUrl", in.InvokedViaFunctionURL})
	if err != nil {
		return err
	}
	if err := (constraint{1, 100, "-_"}).check("statementId", in.StatementID); err != nil {
		return err
	}
	if verb, ok := strings.CutPrefix(in.Action, "lambda:"); in.Action != "*" && (!ok || verb == "" || verb != "*" && (constraint{min: 1, max: 64}).check("", verb) != nil) {
		return unmet("action", in.Action, `satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])`)
	}
	if in.Principal == "" || strings.ContainsAny(in.Principal, " \t\r\n") {
		return unmet("principal", in.Principal, `satisfy regular expression pattern: [^\s]+`)
	}
	if in.SourceArn != "" && (!strings.HasPrefix(in.SourceArn, "arn:aws") || strings.Count(in.SourceArn, ":") < 5) {
		return unmet("sourceArn", in.SourceArn, `satisfy regular expression pattern: arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)`)
	}
	if in.SourceAccount != "" && (len(in.SourceAccount) != 12 || strings.Trim(in.SourceAccount, "0123456789") != "") {
		return unmet("sourceAccount", in.SourceAccount, `satisfy regular expression pattern: \d{12}`)
	}
	return nil
}

func (a *API) addPermission(_ context.Context, q *request) (any, error) {
	var in addPermissionInput
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := errors.Join(in.check(), a.checkRevision(name, in.RevisionID)); err != nil {
		return nil, err
	}
	p := iot.Permission{
		Function: name, StatementID: in.StatementID, Action: in.Action, Principal: in.Principal,
		SourceARN: in.SourceArn, SourceAccount: in.SourceAccount,
	}
	if err := a.cfg.Permissions.PutPermission(p); errors.Is(err, iot.ErrExists) {
		return nil, newFault("ResourceConflictException", fmt.Sprintf(
			"The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", in.StatementID))
	} else if err != nil {
		return nil, err
	}
	statement, err := encode(a.functionStatement(&p))
	return struct{ Statement string }{string(statement)}, err
}

func (a *API) removePermission(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	id, err := q.label("StatementId", constraint{1, 100, "-_."})
	if err != nil {
		return nil, err
	}
	if err := a.checkRevision(name, q.query.Get("RevisionId")); err != nil {
		return nil, err
	}
	err = a.cfg.Permissions.DeletePermission(name, id)
	if errors.Is(err, iot.ErrNotFound) {
		return nil, newFault("ResourceNotFoundException", "Statement "+id+" is not found in resource policy.")
	}
	return nil, err
}

func (a *API) getFunctionPolicy(_ context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	document, revision, err := a.functionPolicy(name)
	if err != nil {
		return nil, err
	}
	if document == "" {
		return nil, newFault("ResourceNotFoundException", "No policy is associated with the given resource.")
	}
	return struct {
		Policy     string
		RevisionID string `json:"RevisionId"`
	}{document, revision}, nil
}

// functionPolicy returns a function's resource policy, "" when it has none, and
// the id of this revision of it, a UUID made from the text.
func (a *API) functionPolicy(name string) (document, revision string, err error) {
	permissions, err := a.cfg.Permissions.Permissions(name)
	if err != nil || len(permissions) == 0 {
		return "", "", err
	}
	text, err := encode(functionPolicy{"2012-10-17", "default", each(permissions, a.functionStatement)})
	return string(text), uuid.NewSHA1(uuid.NameSpaceOID, text).String(), err
}

// checkRevision refuses a change that was meant for another revision.
func (a *API) checkRevision(name, expected string) error {
	if expected == "" {
		return nil
	}
	_, revision, err := a.functionPolicy(name)
	if err == nil && revision != expected {
		return newFault("PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the latest RevisionId for your resource.")
	}
	return err
}

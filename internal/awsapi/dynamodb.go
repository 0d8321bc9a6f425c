package awsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxDynamoDBBody is the largest request to DynamoDB, in bytes.
	maxDynamoDBBody = 16 << 20
	// dynamoDBRoom is how many bytes of requests are performed at once; what does not
	// fit waits. Values take more memory than their JSON, nested maps of one member
	// sixty times as much.
	dynamoDBRoom = maxDynamoDBBody
	// dynamoDBPage is what a request counts for that reads many items.
	dynamoDBPage = 1 << 20
)

// DynamoDB is the engine behind the service dynamodb; all of it or nothing is set.
// An error of its methods is one of the sentinels', a [*ddb.ConditionFailedError] or
// a [*ddb.CanceledError].
type DynamoDB struct {
	Tables       Tables
	Settings     TableSettings
	Items        TableItems
	Readers      TableReaders
	Transactions TableTransactions
}

// Tables are the tables themselves.
type Tables interface {
	CreateTable(*ddb.CreateTableInput) (ddb.TableOutput, error)
	DescribeTable(*ddb.TableInput) (ddb.DescribeTableOutput, error)
	ListTables(*ddb.ListTablesInput) (ddb.ListTablesOutput, error)
	UpdateTable(*ddb.UpdateTableInput) (ddb.TableOutput, error)
	DeleteTable(*ddb.TableInput) (ddb.TableOutput, error)
}

// TableSettings are a table's time to live and tags.
type TableSettings interface {
	UpdateTimeToLive(*ddb.UpdateTimeToLiveInput) (ddb.UpdateTimeToLiveOutput, error)
	DescribeTimeToLive(*ddb.TableInput) (ddb.DescribeTimeToLiveOutput, error)
	TagResource(*ddb.TagResourceInput) error
	UntagResource(*ddb.UntagResourceInput) error
	ListTagsOfResource(*ddb.ListTagsInput) (ddb.ListTagsOutput, error)
}

// TableItems are the items of the tables, one at a time.
type TableItems interface {
	PutItem(*ddb.PutItemInput) (ddb.WriteOutput, error)
	GetItem(*ddb.GetItemInput) (ddb.GetItemOutput, error)
	UpdateItem(*ddb.UpdateItemInput) (ddb.WriteOutput, error)
	DeleteItem(*ddb.DeleteItemInput) (ddb.WriteOutput, error)
}

// TableReaders read and write many items.
type TableReaders interface {
	Query(*ddb.QueryInput) (ddb.ReadOutput, error)
	Scan(*ddb.ScanInput) (ddb.ReadOutput, error)
	BatchGetItem(*ddb.BatchGetItemInput) (ddb.BatchGetItemOutput, error)
	BatchWriteItem(*ddb.BatchWriteItemInput) (ddb.BatchWriteItemOutput, error)
}

// TableTransactions read and write several items as one.
type TableTransactions interface {
	TransactGetItems(*ddb.TransactGetItemsInput) (ddb.TransactGetItemsOutput, error)
	TransactWriteItems(*ddb.TransactWriteItemsInput) (ddb.TransactWriteItemsOutput, error)
}

func (a *API) dynamoDBService() *service {
	operations := a.dynamoDBOperations()
	room := semaphore.NewWeighted(dynamoDBRoom)
	for i, op := range operations {
		operations[i].handle = inRoom(room, op)
	}
	svc := targetService("dynamodb", "Amazon DynamoDB", "DynamoDB_20120810", dynamoJSON{targetJSON{"1.0"}}, dynamoDBWords(), operations)
	svc.maxBody = maxDynamoDBBody
	return svc
}

// inRoom performs an operation once there is room for its request.
func inRoom(room *semaphore.Weighted, op operation) func(context.Context, *request) (any, error) {
	least := 0
	switch op.name {
	case "Query", "Scan", "BatchGetItem", "TransactGetItems":
		least = dynamoDBPage
	}
	return func(ctx context.Context, q *request) (any, error) {
		size := int64(max(len(q.body), least))
		if err := room.Acquire(ctx, size); err != nil {
			return nil, fmt.Errorf("the request was given up before there was room for it: %w", iot.ErrOverloaded)
		}
		defer room.Release(size)
		return op.handle(ctx, q)
	}
}

func (a *API) dynamoDBOperations() []operation {
	d := &a.cfg.DynamoDB
	return []operation{
		dynamoDB("CreateTable", &d.Tables, Tables.CreateTable),
		dynamoDB("DescribeTable", &d.Tables, Tables.DescribeTable),
		dynamoDB("ListTables", &d.Tables, Tables.ListTables),
		dynamoDB("UpdateTable", &d.Tables, Tables.UpdateTable),
		dynamoDB("DeleteTable", &d.Tables, Tables.DeleteTable),
		dynamoDB("UpdateTimeToLive", &d.Settings, TableSettings.UpdateTimeToLive),
		dynamoDB("DescribeTimeToLive", &d.Settings, TableSettings.DescribeTimeToLive),
		dynamoDB("TagResource", &d.Settings, nothing(TableSettings.TagResource)),
		dynamoDB("UntagResource", &d.Settings, nothing(TableSettings.UntagResource)),
		dynamoDB("ListTagsOfResource", &d.Settings, TableSettings.ListTagsOfResource),
		dynamoDB("PutItem", &d.Items, TableItems.PutItem),
		dynamoDB("GetItem", &d.Items, TableItems.GetItem),
		dynamoDB("UpdateItem", &d.Items, TableItems.UpdateItem),
		dynamoDB("DeleteItem", &d.Items, TableItems.DeleteItem),
		dynamoDB("Query", &d.Readers, TableReaders.Query),
		dynamoDB("Scan", &d.Readers, TableReaders.Scan),
		dynamoDB("BatchGetItem", &d.Readers, TableReaders.BatchGetItem),
		dynamoDB("BatchWriteItem", &d.Readers, TableReaders.BatchWriteItem),
		dynamoDB("TransactGetItems", &d.Transactions, TableTransactions.TransactGetItems),
		dynamoDB("TransactWriteItems", &d.Transactions, TableTransactions.TransactWriteItems),
		dynamoDB("DescribeContinuousBackups", &d.Tables, describeContinuousBackups),
		dynamoDB("DescribeLimits", &d.Tables, describeTableLimits),
		{name: "DescribeEndpoints", status: http.StatusOK, handle: describeDynamoDBEndpoints},
	}
}

// dynamoDB is an operation that decodes its request, of a type that checks itself,
// and has an engine do it.
func dynamoDB[Engine, In, Out any](name string, engine *Engine, do func(Engine, *In) (Out, error)) operation {
	return operation{name: name, status: http.StatusOK, handle: func(_ context.Context, q *request) (any, error) {
		in := new(In)
		if err := decodeDynamoDB(q.body, in); err != nil {
			return nil, err
		}
		return do(*engine, in)
	}}
}

// nothing is an operation without a result.
func nothing[Engine, In any](do func(Engine, *In) error) func(Engine, *In) (*struct{}, error) {
	return func(e Engine, in *In) (*struct{}, error) { return nil, do(e, in) }
}

// codeSerialization: a member has another JSON type than the model says, or the
// body is no JSON.
const codeSerialization = "SerializationException"

// decodeDynamoDB reads a request's JSON. Members that are not known are ignored, as
// AWS does.
func decodeDynamoDB(body []byte, in any) error {
	err := json.Unmarshal(body, in)
	if err == nil {
		return nil
	}
	if shape, ok := errors.AsType[*ddb.ShapeError](err); ok {
		return newFault(codeSerialization, shape.Message)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		member := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:] // without the structs around it
		return newFault(codeSerialization, fmt.Sprintf("member %s is a %s, which does not fit", member, wrong.Value))
	}
	if errors.Is(err, iot.ErrInvalid) {
		return err
	}
	return newFault(codeSerialization, "the body is not JSON: "+err.Error())
}

// dynamoJSON is DynamoDB's dialect of the JSON protocol: every body has its
// checksum in a header, and error types have a namespace.
type dynamoJSON struct{ targetJSON }

func (p dynamoJSON) result(w http.ResponseWriter, _ string, op operation, v any) error {
	if v, ok := v.(*struct{}); ok && v == nil { // the operation has no output
		p.write(w, op.status, nil)
		return nil
	}
	if v, ok := v.(interface{ AppendJSON([]byte) []byte }); ok {
		p.write(w, op.status, v.AppendJSON(nil))
		return nil
	}
	body, err := encode(v)
	if err == nil {
		p.write(w, op.status, body)
	}
	return err
}

func (p dynamoJSON) write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("x-amz-crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	writeBody(w, status, p.contentType(), body)
}

func (p dynamoJSON) fault(w http.ResponseWriter, _ string, f *fault) {
	w.Header().Set("x-amzn-ErrorType", f.code)
	members := map[string]any{"__type": dynamoDBNamespace(f.code) + "#" + f.code}
	message := "message"
	if f.code == "TransactionCanceledException" || f.code == "IdempotentParameterMismatchException" {
		message = "Message" // as the model spells it there
	}
	members[message] = f.message
	for name, value := range f.members {
		members[name] = value
	}
	body, err := encode(members)
	if err != nil { // nothing better can be said
		w.WriteHeader(f.status())
		return
	}
	p.write(w, f.status(), body)
}

// dynamoDBNamespace is where AWS defines an error: its own in the service, those of
// every service in common.
func dynamoDBNamespace(code string) string {
	switch code {
	case "ValidationException", codeSerialization, "ThrottlingException", "UnrecognizedClientException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "AccessDeniedException", codeUnsupported:
		return "com.amazon.coral.service"
	}
	return "com.amazonaws.dynamodb.v20120810"
}

func dynamoDBWords() vocabulary {
	return vocabulary{
		notFound: "ResourceNotFoundException", exists: "ResourceInUseException", invalid: "ValidationException",
		denied: "AccessDeniedException", conflict: "ResourceInUseException", version: "TransactionConflictException",
		limit: "LimitExceededException", overloaded: "ThrottlingException", closed: "InternalServerError",
		internal: "InternalServerError", signature: jsonSignatureCode, status: dynamoDBStatus, own: dynamoDBFault,
	}
}

// dynamoDBStatus is 400 for everything but what goes wrong inside.
func dynamoDBStatus(code string) int {
	switch code {
	case "InternalServerError":
		return http.StatusInternalServerError
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// dynamoDBFault names the errors that DynamoDB's engine has types of its own for;
// nil for others.
func dynamoDBFault(err error) *fault {
	if failed, ok := errors.AsType[*ddb.ConditionFailedError](err); ok {
		f := &fault{code: "ConditionalCheckFailedException", message: failed.Error()}
		if failed.Item != nil {
			f.members = map[string]any{"Item": failed.Item}
		}
		return f
	}
	if canceled, ok := errors.AsType[*ddb.CanceledError](err); ok {
		return &fault{
			code: "TransactionCanceledException", message: canceled.Error(),
			members: map[string]any{"CancellationReasons": canceled.Reasons},
		}
	}
	if errors.Is(err, ddb.ErrTokenMismatch) {
		return &fault{code: "IdempotentParameterMismatchException", message: err.Error()}
	}
	return nil
}

// describeContinuousBackups says that there are none: AWS's are a service to which
// this table's data never goes.
func describeContinuousBackups(tables Tables, in *ddb.TableInput) (any, error) {
	if _, err := tables.DescribeTable(in); errors.Is(err, iot.ErrNotFound) {
		return nil, newFault("TableNotFoundException", "Table not found: "+in.TableName)
	} else if err != nil {
		return nil, err
	}
	type recovery struct{ PointInTimeRecoveryStatus string }
	return map[string]any{"ContinuousBackupsDescription": map[string]any{
		"ContinuousBackupsStatus": "DISABLED", "PointInTimeRecoveryDescription": recovery{"DISABLED"},
	}}, nil
}

// tableLimits are an account's quotas of capacity, which are AWS's defaults: nothing
// is throttled here.
type tableLimits struct {
	AccountMaxReadCapacityUnits, AccountMaxWriteCapacityUnits int
	TableMaxReadCapacityUnits, TableMaxWriteCapacityUnits     int
}

func describeTableLimits(Tables, *struct{}) (tableLimits, error) {
	return tableLimits{80_000, 80_000, 40_000, 40_000}, nil
}

// describeDynamoDBEndpoints answers the address that the client has used.
func describeDynamoDBEndpoints(_ context.Context, q *request) (any, error) {
	type endpoint struct {
		Address              string
		CachePeriodInMinutes int
	}
	const day = 24 * 60
	return map[string][]endpoint{"Endpoints": {{cmp.Or(q.http.Host, "localhost"), day}}}, nil
}

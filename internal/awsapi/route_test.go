package awsapi

import (
	"slices"
	"strings"
	"testing"
)

// TestTableAgreesWithTheServiceModels checks method and path of every operation
// against the list that was taken from AWS's service models.
func TestTableAgreesWithTheServiceModels(t *testing.T) {
	a := newTestAPI(t, newMemory())
	for service, operations := range map[string][]operation{
		"iot": slices.Concat(a.thingOperations(), a.certificateOperations(), a.policyOperations(),
			a.attachmentOperations(), a.ruleOperations(), a.destinationOperations(), a.endpointOperations()),
		"iotdata": a.iotDataOperations(),
		"lambda":  append(a.permissionOperations(), a.lambdaFunctionOperations()...),
	} {
		for _, op := range operations {
			// A topic may also come with plain slashes, as with curl.
			path := strings.Replace(op.path, "{topic+}", "{topic}", 1)
			if line := service + " " + op.method + " " + path + " " + op.name + "\n"; !strings.Contains(operationNames, line) {
				t.Errorf("the models have no %q", line)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, pattern, path string
		label, value        string // "" is no match
	}{
		{"a label takes one segment", "/things/{n}", "/things/a", "n", "a"},
		{"an escaped slash stays in its label", "/attached-policies/{t}", "/attached-policies/a%2Fb", "t", "a/b"},
		{"a label takes no plain slash", "/things/{n}", "/things/a/b", "", ""},
		{"a label may be empty, for its constraint to refuse", "/things/{n}", "/things/", "n", ""},
		{"a greedy label takes the rest", "/topics/{t+}", "/topics/a//b%2Fc", "t", "a//b/c"},
		{"a greedy label takes something", "/topics/{t+}", "/topics/", "", ""},
		{"a bad escape does not match", "/things/{n}", "/things/%zz", "", ""},
		{"a path that is too short does not match", "/things/{n}/principals", "/things/a", "", ""},
		{"a literal may be escaped", "/things/{n}", "/thing%73/a", "n", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rs := newRoutes([]operation{{path: c.pattern}})
			labels, ok := rs.list[0].match(strings.Split(strings.TrimPrefix(c.path, "/"), "/"))
			if value, has := labels[c.label]; ok != (c.label != "") || ok && (!has || value != c.value) {
				t.Errorf("match(%q, %q) = %v, %v", c.pattern, c.path, labels, ok)
			}
		})
	}
}

func TestWhatIsNotServedIsRefusedByNameInItsProtocol(t *testing.T) {
	for _, c := range []struct {
		name                 string
		call                 call
		wantType, wantInBody string
	}{
		{
			"DynamoDB Streams, which signs as DynamoDB",
			call{service: "dynamodb", method: "POST", target: "/", header: map[string]string{"X-Amz-Target": "DynamoDBStreams_20120810.ListStreams"}},
			"application/x-amz-json-1.0", `"X-Amz-Target DynamoDBStreams_20120810.ListStreams of Amazon DynamoDB is not supported by Fieldline"`,
		},
		{
			"CloudWatch's metrics in CBOR",
			call{
				service: "monitoring", method: "POST", target: "/service/GraniteServiceVersion20100801/operation/PutMetricData",
				header: map[string]string{"Smithy-Protocol": "rpc-v2-cbor"},
			},
			"application/cbor", "\xa2\x7a\x00\x00\x00\x06__type\x7a\x00\x00\x00\x1dUnsupportedOperationException" +
				"\x7a\x00\x00\x00\x07message\x7a\x00\x00\x00\x41PutMetricData of service monitoring is not supported by Fieldline",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.call.do(newDynamoDB(t, tablesOf{}))
			if w.Code != 400 || w.Header().Get("Content-Type") != c.wantType || !strings.Contains(w.Body.String(), c.wantInBody) {
				t.Errorf("%d %s %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		})
	}
}

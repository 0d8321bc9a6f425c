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
			a.attachmentOperations(), a.ruleOperations(), a.endpointOperations()),
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

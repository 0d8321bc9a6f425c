package awsapi

import (
	"cmp"
	_ "embed"
	"maps"
	"slices"
	"strings"
)

// moreOperationNames lists the operations of the services that are not told apart
// by path, one a line: SigV4 signing name, operation. With operationNames it names
// all that AWS has.
//
//go:embed operation_names.txt
var moreOperationNames string

// ServiceSupport says which operations of an AWS service are answered here.
type ServiceSupport struct {
	Name       string // as in signatures
	Title      string
	Operations []OperationSupport // by name
}

// OperationSupport says whether an operation is performed; any other is refused
// by its name.
type OperationSupport struct {
	Name      string
	Supported bool
}

// Operations returns the AWS services that the API can answer for, by title, with
// all operations that AWS's service models have.
func Operations() []ServiceSupport {
	var list []ServiceSupport
	for name, svc := range new(API).everyService() {
		if name == "fieldline" {
			continue
		}
		supported := make(map[string]bool)
		for _, op := range namesOf(name) {
			supported[op] = false
		}
		for _, op := range svc.operations {
			supported[op.name] = op.handle != nil
		}
		s := ServiceSupport{Name: name, Title: svc.title}
		for _, op := range slices.Sorted(maps.Keys(supported)) {
			s.Operations = append(s.Operations, OperationSupport{op, supported[op]})
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b ServiceSupport) int { return cmp.Compare(a.Title, b.Title) })
	return list
}

// namesOf returns the names that AWS's models have for a service.
func namesOf(service string) []string {
	var names []string
	for line := range strings.Lines(operationNames + moreOperationNames) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == service {
			names = append(names, f[len(f)-1])
		}
	}
	return names
}

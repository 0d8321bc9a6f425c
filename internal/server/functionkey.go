package server

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// newFunctionKey makes the access key that functions are given. It is good until
// the server stops.
func newFunctionKey() sigv4.Credentials {
	id, secret, token := make([]byte, 10), make([]byte, 30), make([]byte, 30)
	for _, b := range [][]byte{id, secret, token} {
		rand.Read(b) // never fails
	}
	return sigv4.Credentials{
		AccessKeyID:     "ASIA" + base32.StdEncoding.EncodeToString(id),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret),
		SessionToken:    base64.StdEncoding.EncodeToString(token),
	}
}

// functionsMay lists what functions may ask of each service, by its name in
// signatures: to work with data, not to administer. "*" is everything.
func functionsMay() map[string][]string {
	return map[string][]string{
		"dynamodb": {
			"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem",
			"TransactGetItems", "TransactWriteItems", "DescribeTable", "ListTables", "DescribeTimeToLive", "DescribeEndpoints",
		},
		"execute-api": {"*"},
		"iotdata":     {"Publish", "GetRetainedMessage", "ListRetainedMessages"},
		"lambda":      {"Invoke", "InvokeAsync"},
		"logs":        {"CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents"},
		"sts":         {"*"},
	}
}

// permit refuses what an access key is not for, by an error wrapping
// [iot.ErrDenied].
func (s *Server) permit(key, service, operation string) error {
	if key != s.functionKey.AccessKeyID {
		return nil
	}
	if may := functionsMay()[service]; slices.Contains(may, operation) || slices.Contains(may, "*") {
		return nil
	}
	return fmt.Errorf("functions may not call %s:%s: their access key is for data, and what administers needs that of the data folder: %w", service, operation, iot.ErrDenied)
}

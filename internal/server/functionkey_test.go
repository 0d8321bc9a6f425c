package server

import (
	"errors"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

func TestFunctionsMayNotAdminister(t *testing.T) {
	s := &Server{credentials: sigv4.Credentials{AccessKeyID: "AKIA"}, functionKey: newFunctionKey()}
	for _, tt := range []struct {
		service, operation string
		allowed            bool
	}{
		{"dynamodb", "PutItem", true},
		{"execute-api", "PostToConnection", true},
		{"iotdata", "Publish", true},
		{"iotdata", "DeleteConnection", false},
		{"lambda", "Invoke", true},
		{"logs", "PutLogEvents", true},
		{"dynamodb", "DeleteTable", false},
		{"iot", "CreateKeysAndCertificate", false},
		{"lambda", "UpdateFunctionCode", false},
		{"lambda", "GetFunction", false},
		{"apigateway", "CreateApi", false},
		{"iam", "PutRolePolicy", false},
		{"fieldline", "Login", false},
		{"other", "unknown", false},
	} {
		err := s.permit(s.functionKey.AccessKeyID, tt.service, tt.operation)
		if tt.allowed && err != nil || !tt.allowed && !errors.Is(err, iot.ErrDenied) {
			t.Errorf("a function calls %s:%s: %v", tt.service, tt.operation, err)
		}
		if err := s.permit("AKIA", tt.service, tt.operation); err != nil {
			t.Errorf("the operator calls %s:%s: %v", tt.service, tt.operation, err)
		}
	}
}

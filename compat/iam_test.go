package compat

import (
	"strings"
	"testing"
)

func TestIAMOnTheSDKs(t *testing.T) {
	f := up(t)
	f.script("iam.py")
	f.script("iam.mjs")
}

// The role of the guide's functions, with the guide's own policy.
func TestGuidesRoleOnTheAWSCLI(t *testing.T) {
	f := up(t, "--empty")
	dir := t.TempDir()
	write(t, dir+"/trust.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	cmd := f.tool([]string{"POLICY=" + root(t, "examples/guide/lambda-role-policy.json")}, "bash", "-c", `set -euo pipefail
aws iam create-role --role-name LambdaRole --assume-role-policy-document file://trust.json
aws iam attach-role-policy --role-name LambdaRole --policy-arn arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
aws iam put-role-policy --role-name LambdaRole --policy-name IoTAccess --policy-document file://"$POLICY"
aws iam wait role-exists --role-name LambdaRole
aws iam get-role-policy --role-name LambdaRole --policy-name IoTAccess
aws iam list-attached-role-policies --role-name LambdaRole`)
	cmd.Dir = dir
	out := f.output(cmd)
	for _, want := range []string{`"arn:aws:iam::123456789012:role/LambdaRole"`, `"execute-api:ManageConnections"`, `"AWSLambdaBasicExecutionRole"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}

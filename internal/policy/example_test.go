package policy_test

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/policy"
)

func ExampleParse_unknownOperator() {
	_, err := policy.Parse(`{
		"Version": "2012-10-17",
		"Statement": {
			"Effect": "Allow", "Action": "iot:Connect", "Resource": "*",
			"Condition": {"StringEqual": {"iot:ClientId": "MyDevice001"}}
		}
	}`)
	fmt.Println(err)
	// Output: policy document: Statement[0].Condition: unknown operator "StringEqual": invalid
}

// Command on_connect is the guide's OnConnect as an AWS Lambda: the bootstrap of a zip
// for provided.al2023.
package main

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/fieldline-iot/fieldline/internal/cloud"
)

func main() {
	function, err := cloud.OnConnect(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(function)
}

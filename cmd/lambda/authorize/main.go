// Command authorize is the REQUEST authorizer of the WebSocket API on AWS, which
// has no JWT authorizer of its own: it lets bearers of a good token connect.
// Environment: JWT_ISSUER and JWT_AUDIENCE.
package main

import (
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/fieldline-iot/fieldline/internal/auth"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	authorizer, err := auth.NewAuthorizer(os.Getenv, log)
	if err != nil {
		log.Error("JWT_ISSUER or JWT_AUDIENCE cannot be", "err", err)
		os.Exit(1)
	}
	lambda.Start(authorizer.Authorize)
}

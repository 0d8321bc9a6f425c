module github.com/fieldline-iot/fieldline/bench

go 1.26

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/gobwas/ws v1.5.0
)

require (
	github.com/aws/smithy-go v1.28.9 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
)

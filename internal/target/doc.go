// Package target performs what rules' actions recorded for the world outside:
// messages for SQS, records for Kinesis, items for DynamoDB, lines for CloudWatch
// Logs, requests over HTTP.
//
// It decides nothing about when: the outbox calls its performers, at least once for
// each entry and again after an error that is not final. Every service is spoken to
// with AWS's own client, at AWS or at any endpoint that is compatible.
package target

// Package apis is the engine behind Amazon API Gateway v2: the WebSocket and
// HTTP APIs that users make, what they are made of, and their serving at
// /{apiId}/{stage} of the gateway.
//
// # Model
//
// An API has routes, integrations, authorizers, stages and deployments
// ([Engine.Routes] and its neighbours). A deployment is a snapshot; a stage
// serves the snapshot of its deployment, and with AutoDeploy every change makes
// a new one. Deployments that AutoDeploy made are dropped once no stage serves
// them, so that an API does not grow with each change. A section of the store
// ([Records]) keeps it all; every change is durable when the call returns.
//
// # Serving
//
// [Engine.ServeHTTP] finds the stage of a request. HTTP APIs are answered here;
// the connections of WebSocket APIs are kept by [Sockets], which asks the engine
// about each one and hands it its messages. Functions are reached through
// [Functions], always after the question whether their resource policy lets
// apigateway.amazonaws.com invoke them for the route at hand, and identities
// through [Identities]. A connection that comes in by the built-in OnConnect
// listens to readings, as at /prod.
//
// The messages of one connection are handled concurrently, as on AWS, at most
// eight at a time: a client that says more before these are done is not read
// further. Neither waits for another connection.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Changes are made one after
// another; serving reads an immutable set of stages and takes no lock.
//
// Limits and shapes are those of the Amazon API Gateway developer guide.
package apis

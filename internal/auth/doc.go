// Package auth decides who may connect to the gateway: bearers of a JSON Web
// Token of an OpenID Connect issuer, Amazon Cognito's two shapes included, and
// signers of a request with the server's access key, as API Gateway's JWT and IAM
// authorisation do. It bounds how often anyone may ask, too.
//
// It issues nothing and knows no users: a token or a signature is good or it is
// not. The dashboard's session is somebody else's, and only asked about.
//
// The Lambda `authorize` carries this package, so it imports no metrics library:
// what is to be counted is told to a func of its Config.
//
// Everything here is safe for concurrent use.
//
// Spec: RFC 7519 (JWT), RFC 7515 (JWS), RFC 6750 (bearer tokens), OpenID Connect
// Discovery 1.0; "Control access to HTTP APIs with JWT authorizers" of the API
// Gateway developer guide for which claims are checked.
package auth

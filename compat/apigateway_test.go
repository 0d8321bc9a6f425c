package compat

import "testing"

// boto3 and the JavaScript SDK make APIs, connect to them and push to the
// connections.
func TestAPIGatewayWithTheSDKs(t *testing.T) {
	f := up(t, "--empty")
	for _, name := range []string{"apigateway.py", "apigateway.mjs"} {
		// Node has WebSocket since version 22, and behind this flag since 20.
		t.Run(name, func(t *testing.T) { t.Log(f.in(t).script(name, "NODE_OPTIONS=--experimental-websocket")) })
	}
}

package auth

import (
	"net/http"
	"strings"
)

// Subprotocol is the WebSocket subprotocol that says that the next one offered is
// a token, because a browser cannot set the Authorization header of a WebSocket:
// new WebSocket(url, ["access_token", token]). The answer to the upgrade must name
// it, and never the token, or browsers close the connection.
const Subprotocol = tokenParameter

// tokenParameter carries a token in a query (RFC 6750 §2.3).
const tokenParameter = "access_token"

// token returns the token of a request: of its Authorization header, else of its
// query, else of its subprotocols; "" when it has none.
func token(r *http.Request) string {
	return firstToken(r.Header.Get("Authorization"), r.URL.Query().Get(tokenParameter), strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","))
}

func firstToken(authorization, parameter, protocols string) string {
	if scheme, token, _ := strings.Cut(authorization, " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if parameter != "" {
		return parameter
	}
	before := ""
	for protocol := range strings.SplitSeq(protocols, ",") {
		protocol = strings.TrimSpace(protocol)
		if before == Subprotocol {
			return protocol
		}
		before = protocol
	}
	return ""
}

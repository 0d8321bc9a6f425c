package awsapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// executeAPI is the signing name of the management API of WebSocket connections.
const executeAPI = "execute-api"

func connectionWords() vocabulary {
	return vocabulary{
		notFound: "GoneException", exists: "BadRequestException", invalid: "BadRequestException", denied: "ForbiddenException",
		conflict: "BadRequestException", version: "BadRequestException", limit: "PayloadTooLargeException",
		overloaded: "LimitExceededException", closed: "ServiceUnavailableException", internal: "InternalServerErrorException",
		signature: jsonSignatureCode,
		status: func(code string) int {
			switch code {
			case "GoneException":
				return http.StatusGone
			case "ForbiddenException":
				return http.StatusForbidden
			case "PayloadTooLargeException":
				return http.StatusRequestEntityTooLarge
			case "LimitExceededException":
				return http.StatusTooManyRequests
			case "InternalServerErrorException":
				return http.StatusInternalServerError
			}
			return 0
		},
	}
}

// connectionOperations are PostToConnection and its neighbours, with the stage,
// or the API and the stage, before @connections, or neither.
func (a *API) connectionOperations() []operation {
	var all []operation
	for _, prefix := range []string{"", "/{stage}", "/{apiId}/{stage}"} {
		path := prefix + "/@connections/{connectionId}"
		all = append(all,
			operation{"PostToConnection", "POST", path, 200, a.onConnection(func(q *request, id string) (any, error) {
				return nil, a.cfg.Sockets.Post(id, q.body)
			})},
			operation{"GetConnection", "GET", path, 200, a.onConnection(func(_ *request, id string) (any, error) {
				status, err := a.cfg.Sockets.Status(id)
				return connectionAnswer(&status), err
			})},
			operation{"DeleteConnection", "DELETE", path, 204, a.onConnection(func(_ *request, id string) (any, error) {
				return nil, a.cfg.Sockets.Disconnect(id)
			})},
		)
	}
	return all
}

// ConnectionsHandler answers requests for @connections and nothing else: what the
// gateway's own address serves of the control API.
func (a *API) ConnectionsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		svc := a.serviceOf(r)
		if svc != a.services[executeAPI] {
			svc = unservedService("@connections", r)
		}
		a.serveAs(w, r, svc)
	})
}

// onConnection does something to a connection of the stage that the request names.
func (a *API) onConnection(do func(q *request, id string) (any, error)) func(context.Context, *request) (any, error) {
	return func(_ context.Context, q *request) (any, error) {
		id := q.labels["connectionId"]
		status, err := a.cfg.Sockets.Status(id)
		if err == nil && !ofStage(q, status.Stage) {
			err = fmt.Errorf("connection %q of the stage: %w", id, iot.ErrNotFound)
		}
		var result any
		if err == nil {
			result, err = do(q, id)
		}
		if err == nil {
			return result, nil
		}
		words := connectionWords()
		f := words.fault(err)
		f.members = map[string]any{"connectionId": id, "requestId": q.id}
		return nil, f
	}
}

// ofStage reports whether a request names a stage ("{apiId}/{stage}"), as far as
// it names one: by its path and, in AWS's form, its host.
func ofStage(q *request, stage string) bool {
	api, name, _ := strings.Cut(stage, "/")
	asked := q.labels["apiId"]
	host := q.http.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if id, rest, found := strings.Cut(host, ".execute-api."); found && strings.HasSuffix(rest, ".amazonaws.com") {
		asked = id
	}
	return (asked == "" || asked == api) && (q.labels["stage"] == "" || q.labels["stage"] == name)
}

// connectionInfo is what GetConnection answers.
type connectionInfo struct {
	ConnectedAt time.Time `json:"connectedAt"`
	Identity    struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	} `json:"identity"`
	LastActiveAt time.Time `json:"lastActiveAt"`
}

func connectionAnswer(s *iot.SocketStatus) *connectionInfo {
	info := &connectionInfo{ConnectedAt: s.ConnectedAt.UTC(), LastActiveAt: s.LastActive.UTC()}
	info.Identity.SourceIP, info.Identity.UserAgent = s.SourceIP, s.UserAgent
	return info
}

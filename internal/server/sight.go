package server

import (
	"math"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/httpapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// sight shows the dashboard what is going on.
type sight struct{ *Server }

// Online returns the connected devices: clients by their thing, or their client
// id.
func (s sight) Online() map[string]httpapi.Presence {
	online := make(map[string]httpapi.Presence)
	for _, c := range s.broker.ClientsAfter("", math.MaxInt, broker.OnlyConnected) {
		name := c.Thing
		if name == "" {
			name = c.ClientID
		}
		online[name] = httpapi.Presence{Since: c.Since.UnixMilli(), Source: c.Remote}
	}
	return online
}

func (s sight) Connections() ([]iot.Connection, error) { return s.store.Connections() }
func (s sight) LastSeq() uint64                        { return s.store.LastSeq() }
func (s sight) DeadLetterCount() int                   { return s.store.DeadLetterCount() }

func (s sight) Rules() []iot.RuleStatus { return s.rules.Statuses() }

// insight shows operators what is going on.
func (s *Server) insight() awsapi.Insight {
	return awsapi.Insight{
		Status:      s.status,
		Clients:     s.clients(),
		Connections: s.store.Connections,
		Rules:       s.rules.Statuses,
		Logs:        s.functionLines,
		DeadLetters: s.letters,
		Login:       func() (string, error) { return s.LoginURL(), nil },
		Listen:      s.taps.Listen,
		Trace:       s.rules.Trace,
	}
}

func (s *Server) status() awsapi.Status {
	return awsapi.Status{
		Version: s.cfg.Version, Started: s.started, Region: s.cfg.Account.Region, Account: s.cfg.Account.ID,
		Endpoint: s.cfg.Hostnames[0], Addresses: s.addresses.Addresses,
		WebSocketAPIID: websocketAPIID, WebSocketURL: s.WebSocketURL(), GatewayURL: s.GatewayURL(), GatewayAccess: s.access(),
		Clients: s.broker.Connected(), Connections: s.WebSocketClients(),
		OldestSeq: s.store.OldestSeq(), LastSeq: s.store.LastSeq(),
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/auth"
	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/httpapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/push"
	"github.com/fieldline-iot/fieldline/internal/store"
	"github.com/fieldline-iot/fieldline/web"
)

// stage is the stage of the guide's APIs, and websocketAPIID the id of its
// WebSocket API, which has one gateway here.
const (
	stage          = "prod"
	websocketAPIID = "fieldline0"
)

// connections is the table WebsocketConnections in the store.
type connections struct{ *store.Store }

func (c connections) Put(_ context.Context, conn iot.Connection) error {
	return c.PutConnection(conn)
}

func (c connections) Delete(_ context.Context, id string) error {
	if err := c.DeleteConnection(id); !errors.Is(err, iot.ErrNotFound) {
		return err
	}
	return nil
}

// buildBroker builds the device door.
func (s *Server) buildBroker(sockets *listeners) (err error) {
	cfg := broker.Config{
		TLS:               sockets.device,
		ServerCertificate: s.authority.ServerCertificate,
		Registry:          identities{s.store, s.enrolment().enrol, new(certificateCache)},
		Authorizer:        policy.NewEnforcer(s.store, s.cfg.Account),
		Ingester:          s.ingest,
		Sessions:          s.store,
		Connected:         s.keeper.rotations.connected,
		PlainPolicy:       PlainPolicy,
		TrustDeviceID:     s.cfg.TrustDeviceID,
		Strict:            s.cfg.AWSStrict,
		Limits:            s.cfg.Limits,
		Log:               s.log,
		Metrics:           s.metrics,
	}
	if sockets.deviceHTTPS != nil {
		cfg.HTTPS = append(cfg.HTTPS, sockets.deviceHTTPS)
	}
	if sockets.mqtt != nil {
		cfg.Plain = append(cfg.Plain, sockets.mqtt)
	}
	s.broker, err = broker.New(cfg)
	return err
}

// buildGateway builds the WebSocket and HTTP doors.
func (s *Server) buildGateway(sockets *listeners) (err error) {
	if err := s.buildGate(); err != nil {
		return err
	}
	s.push, err = push.New(push.Config{
		Readings: s.store, Handlers: s.functions, Stage: websocketAPIID + "/" + stage, AllowOrigin: s.cfg.allowOrigin,
		Throttle: s.gate.connects.Allow, Authorize: s.gate.readers.Authorize, Subprotocol: auth.Subprotocol,
		Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	if err := s.buildAPIs(); err != nil {
		return err
	}
	s.http, err = httpapi.New(httpapi.Config{
		Listener: sockets.gateway, TLS: s.keeper.tls(), APIs: s.apis,
		WebSocket: s.webSocket(), MQTT: s.mqttWebSocket(), IoTData: s.iotData(), Readings: readings{s.store}, Devices: s.store, Sight: sight{s}, Add: s.addDevice,
		Rules: s.rules, Workbench: s.workbench.WithoutCalls(), Trace: s.rules.Trace, DeadLetters: s.letters,
		Session: s.session(), URL: s.GatewayURL(), Hosts: s.cfg.Hostnames, AllowOrigin: s.cfg.allowOrigin,
		Authorize: s.gate.request, OpenLooking: s.access() == awsapi.GatewayOpen, Dashboard: web.Files(), Ready: s.store.Writable, Log: s.log,
	})
	return err
}

// addDevice provisions a device for the dashboard's page.
func (s *Server) addDevice(ctx context.Context, name string) (httpapi.Provisioned, error) {
	p, err := s.Provision(ctx, name, false)
	if err != nil {
		return httpapi.Provisioned{}, err
	}
	command := fmt.Sprintf("fieldline device --endpoint %s --name %s --certs %s", s.DeviceEndpoints()[0], p.Thing, p.Thing)
	return httpapi.Provisioned{Thing: p.Thing, CertificateID: p.CertificateID, Policy: p.Policy, Files: p.Files, Command: command}, nil
}

// session is what the dashboard is told about the server.
func (s *Server) session() httpapi.Session {
	session := httpapi.Session{
		Version: s.cfg.Version, Region: s.cfg.Account.Region, Account: s.cfg.Account.ID,
		Gateway: s.GatewayURL(), Rule: GuideRule, Topic: GuideTopic,
	}
	session.Device.Host = s.cfg.Hostnames[0]
	_, session.Device.Port, _ = net.SplitHostPort(s.addresses.Device)
	return session
}

// Addresses returns the addresses really bound.
func (s *Server) Addresses() Addresses { return s.addresses.Addresses }

// GatewayURL is the gateway as a browser on this machine reaches it, without a
// slash at its end.
func (s *Server) GatewayURL() string {
	scheme := "http://"
	if s.cfg.GatewayCert != "" {
		scheme = "https://"
	}
	host, port, _ := net.SplitHostPort(s.addresses.Gateway)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port)
}

// WebSocketURL is where clients receive readings.
func (s *Server) WebSocketURL() string {
	return "ws" + strings.TrimPrefix(s.GatewayURL(), "http") + "/" + stage
}

// DeviceEndpoints are the host and port pairs that devices dial.
func (s *Server) DeviceEndpoints() []string {
	endpoints := make([]string, len(s.addresses.devices))
	for i, addr := range s.addresses.devices {
		_, port, _ := net.SplitHostPort(addr)
		endpoints[i] = net.JoinHostPort(s.cfg.Hostnames[0], port)
	}
	return endpoints
}

// LoginURL makes a link that opens the dashboard as its operator, once.
func (s *Server) LoginURL() string { return s.http.LoginURL() }

// WebSocketClients is how many WebSocket clients are connected.
func (s *Server) WebSocketClients() int {
	list, _ := s.store.Connections() // in memory: it cannot fail
	return len(list)
}

// MatchingRules are the names of the enabled rules whose topic filter matches.
func (s *Server) MatchingRules(topic string) []string { return s.rules.Matching(topic) }

// Provision creates a thing with a certificate and IoTBasicPolicy, as the guide's
// step 2 does. another allows a further certificate for a thing that has one.
func (s *Server) Provision(ctx context.Context, name string, another bool) (*Provisioned, error) {
	return s.provisioner.provision(ctx, name, another)
}

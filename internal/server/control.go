package server

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// issuer is the authority as the control API sees it.
type issuer struct{ *ca.Authority }

func (i issuer) IssueKeys(active bool) (c iot.Certificate, privateKeyPEM, publicKeyPEM string, err error) {
	issued, err := i.Authority.IssueKeys(active)
	return issued.Certificate, issued.PrivateKeyPEM, issued.PublicKeyPEM, err
}

// buildControl builds the control door.
func (s *Server) buildControl(sockets *listeners) (err error) {
	s.control, err = awsapi.New(awsapi.Config{
		Listener:          sockets.control,
		Account:           s.cfg.Account,
		Endpoint:          s.cfg.Hostnames[0],
		Secret:            s.secret,
		Permit:            s.permit,
		Authority:         issuer{s.authority},
		Things:            s.store,
		ThingAttachments:  s.store,
		Certificates:      s.store,
		CACertificates:    s.store,
		Registrar:         registrar{s.store},
		Lifecycle:         certificateAdmin{s},
		Policies:          s.store,
		PolicyAttachments: s.store,
		RuleReader:        s.rules,
		RuleEditor:        s.rules,
		Functions:         s.functions,
		Permissions:       s.functions,
		Lambda: awsapi.Lambda{
			Functions: s.functions, Editor: s.functions, Invoker: s.functions,
			MaxConcurrency: function.MaxConcurrency, MaxCode: function.MaxCode,
		},
		APIGateway:   s.apiGateway(),
		Sockets:      s.push,
		Publish:      s.publish,
		Retained:     s.store,
		MaxPayload:   s.cfg.limits().Payload,
		Disconnect:   func(id string, clean, noWill bool) bool { return s.broker.Disconnect(id, clean, noWill) },
		DynamoDB:     s.tablesAPI(),
		Logs:         s.logsAPI(),
		IAM:          s.iamAPI(),
		Insight:      s.insight(),
		Workbench:    s.workbench,
		Destinations: s.destinations, ConfirmDestination: s.destinations.ConfirmDestination,
		MetricsHandler: promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}),
		Health:         s.store.Writable,
		Metrics:        s.metrics,
		Log:            s.log,
	})
	return err
}

// publish takes in an operator's message. The store's bound on one commit is the
// broker's bound on a payload, which the door has checked.
func (s *Server) publish(ctx context.Context, m *iot.Message) error {
	if err := s.ingest.Publish(ctx, m); err != nil {
		return fmt.Errorf("publishing to %s: %w", m.Topic, err)
	}
	return nil
}

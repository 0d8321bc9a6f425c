package server

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// registeredTopic is where the registration of a certificate is announced, under
// the id of its CA.
const registeredTopic = "$aws/events/certificates/registered/"

// announcePatience bounds how long a handshake waits for that announcement.
const announcePatience = 5 * time.Second

// enrolment registers certificates just in time: one that a registered CA with
// automatic registration signed is stored as PENDING_ACTIVATION when it is shown
// for the first time, and announced. Somebody else decides whether to activate it.
//
// A certificate is enrolled before TLS has seen that the client has its key: it
// gains nothing by that, since it is genuine and does not admit anybody yet.
type enrolment struct {
	registry enrolmentRegistry
	publish  func(context.Context, *iot.Message) error
	account  string // twelve digits
	log      *slog.Logger

	known atomic.Pointer[enrollers]
}

// enrolmentRegistry is what enrolment needs of the store.
type enrolmentRegistry interface {
	CACertificates(after string, limit int) ([]iot.CACertificate, error)
	PutCertificate(iot.Certificate) error
	Generation() uint64
}

// enrolment is that of the server.
func (s *Server) enrolment() *enrolment {
	return &enrolment{registry: s.store, publish: s.ingest.Publish, account: s.cfg.Account.ID, log: s.log}
}

// enrollers are the CAs with automatic registration as of a generation of the
// registry.
type enrollers struct {
	generation uint64
	list       []*x509.Certificate
}

// enrol registers a certificate that nobody has registered, if it is to be. It
// returns nil also when it is not.
func (e *enrolment) enrol(c *x509.Certificate) error {
	now := time.Now()
	authority, err := e.signer(c, now)
	if err != nil || authority == nil {
		return err
	}
	if err := ca.CheckClient(c, now); err != nil {
		return fmt.Errorf("certificate %s of the registered CA %s: %w", ca.ID(c), authority.Subject, err)
	}
	cert := ca.Describe(c)
	cert.Status, cert.CA = iot.CertificatePending, ca.ID(authority)
	cert.Created, cert.Modified = now, now
	if err := e.registry.PutCertificate(cert); err != nil {
		if errors.Is(err, iot.ErrExists) { // another connection was first
			return nil
		}
		return fmt.Errorf("registering certificate %s: %w", cert.ID, err)
	}
	e.log.Info("certificate registered just in time", "certificate", cert.ID, "ca", cert.CA, "subject", c.Subject.String())
	e.announce(&cert)
	return nil
}

// signer returns the CA that signed c and enrols what it signed; nil when there
// is none.
func (e *enrolment) signer(c *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	known, err := e.current()
	if err != nil {
		return nil, err
	}
	for _, authority := range known.list {
		if now.Before(authority.NotAfter) && ca.CheckSigned(c, authority) == nil {
			return authority, nil
		}
	}
	return nil, nil
}

// current returns the CAs that enrol, read again when the registry has changed.
func (e *enrolment) current() (*enrollers, error) {
	generation := e.registry.Generation() // before reading
	if known := e.known.Load(); known != nil && known.generation == generation {
		return known, nil
	}
	all, err := e.registry.CACertificates("", 0)
	if err != nil {
		return nil, fmt.Errorf("CA certificates: %w", err)
	}
	known := &enrollers{generation: generation}
	for i := range all {
		if all[i].Status != iot.CertificateActive || !all[i].AutoRegistration {
			continue
		}
		c, err := ca.Parse(all[i].PEM)
		if err != nil {
			return nil, fmt.Errorf("CA certificate %s as stored: %w", all[i].ID, err)
		}
		known.list = append(known.list, c)
	}
	e.known.Store(known)
	return known, nil
}

// announce publishes that a certificate waits for its activation, as AWS IoT does.
func (e *enrolment) announce(c *iot.Certificate) {
	at := c.Created.UnixMilli()
	payload, err := json.Marshal(struct {
		CertificateID string                `json:"certificateId"`
		CA            string                `json:"caCertificateId"`
		Timestamp     int64                 `json:"timestamp"`
		Status        iot.CertificateStatus `json:"certificateStatus"`
		Account       string                `json:"awsAccountId"`
		Registered    string                `json:"certificateRegistrationTimestamp"`
	}{c.ID, c.CA, at, c.Status, e.account, strconv.FormatInt(at, 10)})
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), announcePatience)
		defer cancel()
		err = e.publish(ctx, &iot.Message{
			Topic: registeredTopic + c.CA, Payload: payload, QoS: 1,
			Origin: iot.Origin{Protocol: iot.ProtocolMQTT, Arrived: c.Created},
		})
	}
	if err != nil {
		e.log.Error("the registration of a certificate was not announced: activate it with fieldline cert activate", "certificate", c.ID, "err", err)
	}
}

package server

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	expiryNotice = 30 * 24 * time.Hour // before its end a certificate is about to expire
	maxNotices   = 100                 // of one kind of certificate, logged one by one
	censusPage   = 1000                // certificates read at once
)

// expiryOf says whether a certificate is about to expire, has expired, or neither.
func expiryOf(end, now time.Time) iot.Expiry {
	switch {
	case now.After(end):
		return iot.Expired
	case now.After(end.Add(-expiryNotice)):
		return iot.Expiring
	}
	return ""
}

// expiry counts the certificates that are about to expire or have expired, and
// tells of the former: the ACTIVE ones of devices and of the users' CAs, and the
// server's own.
type expiry struct {
	registry  expiryRegistry
	authority *ca.Authority
	gateway   func() *x509.Certificate // nil when the gateway has none
	log       *slog.Logger

	expiring, expired *prometheus.GaugeVec // by kind
}

// expiryRegistry is what expiry needs of the store.
type expiryRegistry interface {
	Certificates(after string, limit int) ([]iot.Certificate, error)
	CACertificates(after string, limit int) ([]iot.CACertificate, error)
}

func newExpiry(e expiry, metrics prometheus.Registerer) (*expiry, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"kind"})
	}
	e.expiring = gauge("fieldline_certificates_expiring", "Certificates in use that end within 30 days, by kind: device, ca, root, server or gateway.")
	e.expired = gauge("fieldline_certificates_expired", "Certificates that have ended and are still ACTIVE, by kind.")
	return &e, errors.Join(metrics.Register(e.expiring), metrics.Register(e.expired))
}

// count is what a look at the certificates of one kind found.
type count struct {
	e    *expiry
	kind string
	now  time.Time
	tell bool

	expiring, expired int
}

// see counts one certificate.
func (c *count) see(id, subject string, end time.Time) {
	switch expiryOf(end, c.now) {
	case iot.Expired:
		c.expired++
	case iot.Expiring:
		if c.expiring++; c.tell && c.expiring <= maxNotices {
			c.e.log.Warn("certificate expires soon", "kind", c.kind, "certificate", id, "subject", subject, "ends", end.UTC().Format(time.RFC3339))
		}
	}
}

// end sets the gauges.
func (c *count) end() {
	if c.tell && c.expiring > maxNotices {
		c.e.log.Warn("more certificates expire soon: fieldline cert list shows them", "kind", c.kind, "more", c.expiring-maxNotices)
	}
	c.e.expiring.WithLabelValues(c.kind).Set(float64(c.expiring))
	c.e.expired.WithLabelValues(c.kind).Set(float64(c.expired))
}

// look counts all certificates anew, and logs those that are about to expire if
// it is to tell. Our server certificate renews itself on being asked for.
func (e *expiry) look(now time.Time, tell bool) error {
	return errors.Join(e.lookAtDevices(count{e: e, kind: "device", now: now, tell: tell}), e.lookAtCAs(count{e: e, kind: "ca", now: now, tell: tell}),
		e.lookAtOwn(now, tell))
}

func (e *expiry) lookAtDevices(n count) error {
	after := ""
	for {
		page, err := e.registry.Certificates(after, censusPage)
		if err != nil {
			return err
		}
		for i := range page {
			if c := &page[i]; c.Status == iot.CertificateActive {
				n.see(c.ID, first(c.Subject["CommonName"]), c.NotAfter)
			}
		}
		if len(page) < censusPage {
			n.end()
			return nil
		}
		after = page[len(page)-1].ID
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (e *expiry) lookAtCAs(n count) error {
	all, err := e.registry.CACertificates("", 0)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Status == iot.CertificateActive {
			n.see(all[i].ID, "", all[i].NotAfter)
		}
	}
	n.end()
	return nil
}

func (e *expiry) lookAtOwn(now time.Time, tell bool) error {
	server, err := e.authority.ServerCertificate(nil)
	if err != nil {
		return err
	}
	own := map[string]*x509.Certificate{"root": e.authority.Root(), "server": server.Leaf}
	if e.gateway != nil {
		own["gateway"] = e.gateway()
	}
	for kind, c := range own {
		n := count{e: e, kind: kind, now: now, tell: tell}
		n.see(ca.ID(c), c.Subject.CommonName, c.NotAfter)
		n.end()
	}
	return nil
}

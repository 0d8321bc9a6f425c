package server

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// shelf is a registry of certificates in memory.
type shelf struct {
	devices []iot.Certificate
	cas     []iot.CACertificate
}

func (s *shelf) Certificates(after string, limit int) ([]iot.Certificate, error) {
	var page []iot.Certificate
	for _, c := range s.devices {
		if c.ID > after && len(page) < limit {
			page = append(page, c)
		}
	}
	return page, nil
}

func (s *shelf) CACertificates(string, int) ([]iot.CACertificate, error) { return s.cas, nil }

func TestExpiryOf(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		in   time.Duration
		want iot.Expiry
	}{
		{-time.Second, iot.Expired},
		{0, iot.Expiring},
		{30*24*time.Hour - time.Second, iot.Expiring},
		{30 * 24 * time.Hour, ""},
	} {
		if got := expiryOf(now.Add(tt.in), now); got != tt.want {
			t.Errorf("in %s: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestExpiryCountsWhatIsInUse(t *testing.T) {
	now := time.Now()
	soon, past, far := now.Add(time.Hour), now.Add(-time.Hour), now.AddDate(1, 0, 0)
	s := &shelf{cas: []iot.CACertificate{
		{ID: "ca-1", Status: iot.CertificateActive, NotAfter: soon}, {ID: "ca-2", Status: iot.CertificateInactive, NotAfter: soon},
	}}
	add := func(n int, status iot.CertificateStatus, end time.Time) {
		for range n {
			s.devices = append(s.devices, iot.Certificate{ID: fmt.Sprintf("%05d", len(s.devices)), Status: status, NotAfter: end})
		}
	}
	add(censusPage+1, iot.CertificateActive, far) // so that there are two pages
	add(maxNotices+7, iot.CertificateActive, soon)
	add(3, iot.CertificateActive, past)
	add(5, iot.CertificateRevoked, soon)
	authority, err := ca.Open(ca.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	metrics := prometheus.NewRegistry()
	e, err := newExpiry(expiry{
		registry: s, authority: authority, log: slog.New(slog.NewTextHandler(&log, nil)),
		gateway: func() *x509.Certificate { return &x509.Certificate{NotAfter: past} },
	}, metrics)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.look(now, false); err != nil || log.Len() > 0 {
		t.Fatalf("%v; it tells %s", err, &log)
	}
	text := httptest.NewRecorder()
	promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP(text, httptest.NewRequest("GET", "/metrics", nil))
	for _, tt := range []struct {
		kind              string
		expiring, expired int
	}{{"device", maxNotices + 7, 3}, {"ca", 1, 0}, {"root", 0, 0}, {"server", 0, 0}, {"gateway", 0, 1}} {
		for _, line := range []string{
			fmt.Sprintf("fieldline_certificates_expiring{kind=%q} %d\n", tt.kind, tt.expiring),
			fmt.Sprintf("fieldline_certificates_expired{kind=%q} %d\n", tt.kind, tt.expired),
		} {
			if !strings.Contains(text.Body.String(), line) {
				t.Errorf("no line %s in %s", line, text.Body)
			}
		}
	}
	if err := e.look(now, true); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "certificate expires soon"); n != maxNotices+1 || !strings.Contains(log.String(), "more=7") {
		t.Errorf("%d lines: %s", n, &log)
	}
}

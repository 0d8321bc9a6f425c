package ca

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// names are what a server certificate is good for, each list sorted.
type names struct {
	common string // the first host that was asked for
	dns    []string
	ip     []string
}

// newNames sorts hosts into names and addresses and adds those of this machine.
func newNames(hosts []string) (names, error) {
	n := names{common: "localhost", dns: []string{"localhost"}, ip: []string{"127.0.0.1", "::1"}}
	if len(hosts) > 0 {
		n.common = hosts[0]
	}
	for _, host := range hosts {
		if address, err := netip.ParseAddr(host); err == nil {
			n.ip = append(n.ip, address.Unmap().WithZone("").String())
			continue
		}
		if !isDNSName(strings.TrimPrefix(host, "*.")) {
			return names{}, fmt.Errorf("host %q: neither a DNS name nor an IP address; give it without scheme and port: %w", host, iot.ErrInvalid)
		}
		n.dns = append(n.dns, strings.ToLower(host))
	}
	if own, err := os.Hostname(); err == nil && isDNSName(own) {
		n.dns = append(n.dns, strings.ToLower(own))
	}
	n.dns, n.ip = sorted(n.dns), sorted(n.ip)
	return n, nil
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// isDNSName checks the letters, digits and hyphens of a host name.
func isDNSName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// of reports whether a certificate is for exactly these names.
func (n names) of(c *x509.Certificate) bool {
	var ip []string
	for _, address := range c.IPAddresses {
		ip = append(ip, address.String())
	}
	return slices.Equal(n.dns, sorted(slices.Clone(c.DNSNames))) && slices.Equal(n.ip, sorted(ip))
}

// ServerCertificate returns the certificate to present, whatever name the client
// asks for: a [tls.Config.GetCertificate]. One that nears its end is renewed
// here; while that fails the old one serves.
func (a *Authority) ServerCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	current := a.server.Load()
	if !a.nearEnd(current.Leaf) || !a.renewal.TryLock() {
		return current, nil
	}
	defer a.renewal.Unlock()
	// Another handshake may have renewed it just before the lock was free.
	if current = a.server.Load(); !a.nearEnd(current.Leaf) || a.now().Before(a.tryNext) {
		return current, nil
	}
	if err := a.makeServer(a.root.Load()); err != nil {
		a.tryNext = a.now().Add(retryRenewal)
		a.log.Error("server certificate not renewed", "err", err, "ends", current.Leaf.NotAfter)
	}
	return a.server.Load(), nil
}

func (a *Authority) nearEnd(c *x509.Certificate) bool {
	return a.now().After(c.NotAfter.Add(-renewBefore))
}

// openServer takes the server certificate from its files, or makes it. All that
// is in them can be made anew, so damage is mended rather than reported; but a
// key that others can read is refused like any.
func (a *Authority) openServer() error {
	pair, reason, err := a.readServer(a.root.Load())
	if err != nil {
		return err
	}
	if reason == "" {
		a.server.Store(pair)
		return nil
	}
	a.log.Info("making a server certificate", "because", reason, "names", slices.Concat(a.names.dns, a.names.ip))
	return a.makeServer(a.root.Load())
}

// readServer reads the server certificate under a root; reason says why it will
// not do.
func (a *Authority) readServer(under *root) (pair *tls.Certificate, reason string, err error) {
	if info, err := os.Stat(a.path(serverKeyFile)); err == nil && info.Mode().Perm()&0o077 != 0 {
		_, err := a.readKey(serverKeyFile)
		return nil, "", err
	}
	key, keyErr := a.readKey(serverKeyFile)
	leaf, leafErr := a.readCertificate(serverFile)
	switch err := errors.Join(keyErr, leafErr); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "there is none", nil
	case errors.Is(err, iot.ErrInvalid):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	case !samePublicKey(leaf.PublicKey, key.Public()):
		return nil, "key and certificate do not belong together", nil
	case leaf.CheckSignatureFrom(under.cert) != nil:
		return nil, "it is of another root", nil
	case a.nearEnd(leaf):
		return nil, "it ends within 30 days", nil
	case a.now().Before(leaf.NotBefore):
		return nil, "it is not valid yet", nil
	case !a.names.of(leaf):
		return nil, "the hosts have changed", nil
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, "", nil
}

// makeServer makes, keeps and presents a new server certificate with a new key.
func (a *Authority) makeServer(under *root) error {
	key, err := a.makeKey(serverKeyFile)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: a.names.common},
		NotBefore:             a.now().Add(-backdate),
		NotAfter:              a.now().Add(serverLifetime - backdate - time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              a.names.dns,
	}
	for _, address := range a.names.ip {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	leaf, err := under.sign(template, key.Public())
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	if err := writeFile(a.path(serverFile), encodeCertificate(leaf.Raw), 0o644); err != nil {
		return err
	}
	a.server.Store(&tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf})
	return nil
}

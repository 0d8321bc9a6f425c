package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of the peers' listeners, made by newFleet.
const (
	rootFile   = "root.pem"
	serverFile = "server.pem"
	keyFile    = "server.key"
)

// authority issues the peers' certificates. Keys are ECDSA P-256 throughout, as
// fieldline's are.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64 // serial number
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, next: 1}
	a.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "bench root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	pair, err := a.sign(a.cert, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(pair)
	return a, err
}

// sign issues a certificate for a day.
func (a *authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) (der []byte, err error) {
	template.SerialNumber = big.NewInt(a.next)
	a.next++
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	return x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
}

// issue issues a certificate with a key of its own.
func (a *authority) issue(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := a.sign(template, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// newFleet makes the certificates of the peers: in dir those of their listeners,
// and of n devices.
func newFleet(dir string, n int) (*fleet, error) {
	a, err := newAuthority()
	if err != nil {
		return nil, err
	}
	server, err := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		rootFile:   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		serverFile: {Type: "CERTIFICATE", Bytes: server.Certificate[0]},
		keyFile:    {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	f := &fleet{}
	for i := range n {
		name := fmt.Sprintf("device-%05d", i)
		cert, err := a.issue(&x509.Certificate{
			Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return nil, err
		}
		f.names = append(f.names, name)
		f.configs = append(f.configs, deviceConfig(roots, cert))
	}
	return f, nil
}

// deviceConfig is how a device connects: without a session cache, so that each
// handshake is a full one, and with the key exchange that all brokers can do.
func deviceConfig(roots *x509.CertPool, cert tls.Certificate) *tls.Config {
	return &tls.Config{
		RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{cert},
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
}

package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Sizes of RSA keys, in bits.
const (
	minRSA = 2048
	maxRSA = 8192 // crypto/tls verifies none larger
)

// Issued is a new certificate with its keys, in PEM: PKCS #1 and PKIX, as AWS
// IoT gives them out. Nobody else has the private key.
type Issued struct {
	Certificate   iot.Certificate
	PrivateKeyPEM string
	PublicKeyPEM  string
}

// IssueKeys makes an RSA key of 2048 bits and a device certificate for it, which
// takes some tenths of a second. The certificate is not registered yet; active
// says whether its status is ACTIVE or INACTIVE.
func (a *Authority) IssueKeys(active bool) (Issued, error) {
	key, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		return Issued{}, fmt.Errorf("device key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Issued{}, fmt.Errorf("device key: %w", err)
	}
	c, err := a.issue(nil, key.Public(), active)
	if err != nil {
		return Issued{}, err
	}
	return Issued{
		Certificate:   c,
		PrivateKeyPEM: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		PublicKeyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	}, nil
}

// IssueCSR makes a device certificate for a PKCS #10 request in PEM. The subject
// is the request's; what extensions it asks for is left out, as by AWS IoT. A
// request that is malformed, not signed with its own key, or whose key is
// neither RSA of 2048 bits or more nor on the curve P-256, P-384 or P-521 is
// refused with an error wrapping [iot.ErrInvalid].
func (a *Authority) IssueCSR(csrPEM string, active bool) (iot.Certificate, error) {
	block, _ := pem.Decode([]byte(csrPEM))
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return iot.Certificate{}, fmt.Errorf("certificate request: no PEM block CERTIFICATE REQUEST; make one with: openssl req -new -key private.pem.key -subj /CN=NAME: %w", iot.ErrInvalid)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return iot.Certificate{}, fmt.Errorf("certificate request: %w: %w", err, iot.ErrInvalid)
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return iot.Certificate{}, fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return iot.Certificate{}, fmt.Errorf("certificate request: not signed with its own key (%w): %w", err, iot.ErrInvalid)
	}
	subject := csr.RawSubject
	if len(csr.Subject.Names) == 0 {
		subject = nil
	}
	return a.issue(subject, csr.PublicKey, active)
}

// checkKey refuses keys that are weak, or that AWS IoT does not take.
func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("an RSA key of %d bits; it must have %d to %d: %w", bits, minRSA, maxRSA, iot.ErrInvalid)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521() {
			return nil
		}
		return fmt.Errorf("a key on the curve %s; use P-256, P-384 or P-521: %w", key.Params().Name, iot.ErrInvalid)
	default:
		return fmt.Errorf("a key of type %T; use RSA or ECDSA: %w", public, iot.ErrInvalid)
	}
}

// issue signs a device certificate; without a subject it gets AWS IoT's.
func (a *Authority) issue(subject []byte, public crypto.PublicKey, active bool) (iot.Certificate, error) {
	now := a.now()
	c, err := a.root.Load().sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "AWS IoT Certificate"},
		RawSubject:            subject,
		NotBefore:             now.Add(-backdate),
		NotAfter:              endOfTime(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, public)
	if err != nil {
		return iot.Certificate{}, fmt.Errorf("device certificate: %w", err)
	}
	issued := Describe(c)
	issued.Created, issued.Modified = now, now
	issued.Status = iot.CertificateInactive
	if active {
		issued.Status = iot.CertificateActive
	}
	return issued, nil
}

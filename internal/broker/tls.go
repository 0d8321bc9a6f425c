package broker

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
)

// The ALPN names of AWS IoT's device endpoint. Without one it is MQTT.
const (
	alpnMQTT   = "x-amzn-mqtt-ca"
	alpnCustom = "mqtt"
	alpnHTTP   = "x-amzn-http-ca"
)

// tlsConfig returns the configuration of a listener that speaks the given
// protocols. A client that offers only others is refused in the handshake; one
// that offers none is not.
//
// Whose signature a client certificate bears is the registry's to judge, since
// users register authorities of their own and certificates of none; so the
// handshake names no authorities either, which clients could take for the only
// ones. That the client has the certificate's key is TLS's to check.
func (b *Broker) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS12,
		NextProtos:       protocols,
		GetCertificate:   b.cfg.ServerCertificate,
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: b.verify,
		// Writers hand over whole batches: small records would cost a system call
		// each and gain nothing.
		DynamicRecordSizingDisabled: true,
	}
}

// verify admits only what the registry knows. It also runs when a session is
// resumed, where crypto/tls does not look at the certificate again.
func (b *Broker) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the client sent no certificate")
	}
	return b.cfg.Registry.CheckCertificate(state.PeerCertificates[0])
}

// certificateID is how AWS IoT names a certificate: the SHA-256 of its DER.
func certificateID(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

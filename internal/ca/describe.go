package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ID returns the certificate id: the SHA-256 of the DER, in lower-case hexadecimal.
func ID(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Describe returns what the registry keeps of a certificate, but for its status
// and when that was set. Subject and Issuer are keyed by the names of policy
// variables; directory names among the alternative ones are left out.
func Describe(c *x509.Certificate) iot.Certificate {
	subject := fields(c.Subject)
	for i := range c.EmailAddresses {
		add(subject, "AlternativeName.RFC822Name", c.EmailAddresses[i])
	}
	for i := range c.DNSNames {
		add(subject, "AlternativeName.DNSName", c.DNSNames[i])
	}
	for i := range c.URIs {
		add(subject, "AlternativeName.UniformResourceIdentifier", c.URIs[i].String())
	}
	for i := range c.IPAddresses {
		add(subject, "AlternativeName.IPAddress", c.IPAddresses[i].String())
	}
	return iot.Certificate{
		ID:        ID(c),
		PEM:       string(encodeCertificate(c.Raw)),
		NotBefore: c.NotBefore,
		NotAfter:  c.NotAfter,
		Subject:   subject,
		Issuer:    fields(c.Issuer),
		Serial:    c.SerialNumber.String(),
	}
}

func add(fields map[string][]string, name, value string) {
	fields[name] = append(fields[name], value)
}

// fields returns the attributes of a name that policy variables name, the
// values of each in their order.
func fields(name pkix.Name) map[string][]string {
	all := map[string][]string{}
	for _, attribute := range name.Names {
		text, ok := attribute.Value.(string)
		if field := fieldName(attribute.Type.String()); ok && field != "" {
			add(all, field, text)
		}
	}
	return all
}

// fieldName returns the policy variable's name for an attribute type of X.520.
func fieldName(oid string) string {
	switch oid {
	case "2.5.4.3":
		return "CommonName"
	case "2.5.4.4":
		return "Surname"
	case "2.5.4.5":
		return "SerialNumber"
	case "2.5.4.6":
		return "Country"
	case "2.5.4.8":
		return "State"
	case "2.5.4.10":
		return "Organization"
	case "2.5.4.11":
		return "OrganizationalUnit"
	case "2.5.4.12":
		return "Title"
	case "2.5.4.42":
		return "GivenName"
	case "2.5.4.43":
		return "Initials"
	case "2.5.4.44":
		return "GenerationQualifier"
	case "2.5.4.46":
		return "DistinguishedNameQualifier"
	case "2.5.4.65":
		return "Pseudonym"
	}
	return ""
}

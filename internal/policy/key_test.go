package policy

import (
	"strings"
	"testing"
)

func TestCertificateVariables(t *testing.T) {
	who := device("d")
	who.Certificate.Subject = map[string][]string{
		"Organization":            {"first", "second"},
		"CommonName":              {"Acme, Inc"},
		"Title":                   {"five*stars"},
		"OrganizationalUnit":      {"1", "2", "3", "4", "5", "6"},
		"Surname":                 {strings.Repeat("x", 1025)},
		"AlternativeName.DNSName": {"d.example"},
	}
	who.Certificate.Issuer = map[string][]string{"CommonName": {"Fieldline"}}
	tests := []struct {
		name, variable, value string
		want                  bool
	}{
		{"the bare name is the first value", "Subject.Organization", "first", true},
		{".1 is the second", "Subject.Organization.1", "second", true},
		{".2 is missing", "Subject.Organization.2", "", false},
		{".List is not one value", "Subject.Organization.List", "first", false},
		{"reserved characters are escaped", "Subject.CommonName", `Acme\, Inc`, true},
		{"a value with a wildcard is not substituted", "Subject.Title", "five*stars", false},
		{"the fifth value counts", "Subject.OrganizationalUnit.4", "5", true},
		{"the sixth does not", "Subject.OrganizationalUnit.5", "6", false},
		{"a value of more than 1024 characters does not", "Subject.Surname", who.Certificate.Subject["Surname"][0], false},
		{"alternative names", "Subject.AlternativeName.DNSName", "d.example", true},
		{"the issuer", "Issuer.CommonName", "Fieldline", true},
		{"field names are case-insensitive", "subject.commonname", `Acme\, Inc`, true},
		{"an unknown field", "Subject.Colour", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := attached(statements(`{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/${iot:Certificate.` + tt.variable + `}"}`))
			if d := e.Authorize(who, Publish, tt.value); d.Allowed != tt.want {
				t.Errorf("%s = %q: %+v, want allowed %t", tt.variable, tt.value, d, tt.want)
			}
		})
	}
}

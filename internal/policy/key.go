package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// keyKind is what a key is about.
type keyKind byte

const (
	unknownKey keyKind = iota // never has a value
	clientID
	sourceIP
	connectAttributes
	thingName
	thingType
	thingAttribute
	thingAttached
	certificateID
	certificateSerial
	certificateSubject
	certificateIssuer
)

// Limits of the certificate fields that policies see; what is beyond them has
// no value.
const (
	maxFieldValues = 5
	maxFieldLength = 1024 // characters
)

// key is a policy variable or condition key. Its name is case-insensitive but
// for what stands in brackets.
type key struct {
	kind  keyKind
	name  string // as written, such as iot:Certificate.Subject.Organization.1
	field string // of a certificate's name, or of a thing's attributes
	index int    // which of a field's values, from 0
	list  bool   // all values of the field (.List)
}

// parseKey reads the name of a key; one that nothing gives a value to is unknownKey.
func parseKey(name string) key {
	lower := strings.ToLower(name)
	k := key{name: name}
	switch lower {
	case "iot:clientid":
		k.kind = clientID
	case "aws:sourceip":
		k.kind = sourceIP
	case "iot:connectattributes":
		k.kind = connectAttributes
	case "iot:connection.thing.thingname":
		k.kind = thingName
	case "iot:connection.thing.thingtypename":
		k.kind = thingType
	case "iot:connection.thing.isattached":
		k.kind = thingAttached
	case "iot:certificateid":
		k.kind = certificateID
	case "iot:certificate.serialnumber":
		k.kind = certificateSerial
	default:
		const attributes, subject, issuer = "iot:connection.thing.attributes[", "iot:certificate.subject.", "iot:certificate.issuer."
		switch {
		case strings.HasPrefix(lower, attributes) && strings.HasSuffix(name, "]"):
			k.kind, k.field = thingAttribute, name[len(attributes):len(name)-1]
		case strings.HasPrefix(lower, subject):
			return k.certificateField(certificateSubject, name[len(subject):])
		case strings.HasPrefix(lower, issuer):
			return k.certificateField(certificateIssuer, name[len(issuer):])
		}
	}
	return k
}

// certificateField completes k from what follows Subject. or Issuer.: a field,
// and perhaps .List or the index of a value.
func (k key) certificateField(kind keyKind, path string) key {
	field := path
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		last := path[dot+1:]
		if strings.EqualFold(last, "List") {
			field, k.list = path[:dot], true
		} else if n, err := strconv.ParseUint(last, 10, 8); err == nil {
			field, k.index = path[:dot], int(n)
		}
	}
	for _, known := range certificateFields() {
		if strings.EqualFold(field, known) {
			k.kind, k.field = kind, known
			return k
		}
	}
	return key{name: k.name}
}

// certificateFields are the fields of a subject or issuer that have a name in policies.
func certificateFields() []string {
	return []string{
		"DistinguishedNameQualifier", "Country", "Organization", "OrganizationalUnit", "State", "CommonName",
		"SerialNumber", "Title", "Surname", "GivenName", "Initials", "Pseudonym", "GenerationQualifier",
		"AlternativeName.RFC822Name", "AlternativeName.DNSName", "AlternativeName.DirectoryName",
		"AlternativeName.UniformResourceIdentifier", "AlternativeName.IPAddress",
	}
}

// values returns what the key holds for a request; none when it is absent.
func (k key) values(r *request) []string {
	switch k.kind {
	case connectAttributes:
		if r.act == Connect {
			return r.who.ConnectAttributes
		}
		return nil
	case certificateSubject, certificateIssuer:
		if k.list {
			var all []string
			for i := range maxFieldValues {
				if v, ok := k.fieldValue(r.who.Certificate, i); ok {
					all = append(all, v)
				}
			}
			return all
		}
	}
	if v, ok := k.value(r.who); ok {
		return []string{v}
	}
	return nil
}

// value returns the single value of the key; ok is false when it has none.
func (k key) value(who *iot.Principal) (value string, ok bool) {
	switch k.kind {
	case clientID:
		value = who.ClientID
	case sourceIP:
		if who.Source.IsValid() {
			value = who.Source.Unmap().String()
		}
	case thingAttached:
		value = strconv.FormatBool(who.Thing != nil && who.Attached)
	case thingName, thingType, thingAttribute:
		value = k.thingValue(who.Thing)
	case certificateID, certificateSerial:
		if who.Certificate == nil {
			return "", false
		}
		value = who.Certificate.ID
		if k.kind == certificateSerial {
			value = who.Certificate.Serial
		}
	case certificateSubject, certificateIssuer:
		if k.list {
			return "", false
		}
		return k.fieldValue(who.Certificate, k.index)
	}
	return value, value != ""
}

func (k key) thingValue(thing *iot.Thing) string {
	if thing == nil {
		return ""
	}
	switch k.kind {
	case thingName:
		return thing.Name
	case thingType:
		return thing.Type
	default:
		return thing.Attributes[k.field]
	}
}

// fieldValue returns one value of a certificate's field, with the characters
// that RFC 4514 reserves escaped by a backslash.
func (k key) fieldValue(c *iot.Certificate, index int) (string, bool) {
	if c == nil {
		return "", false
	}
	fields := c.Subject
	if k.kind == certificateIssuer {
		fields = c.Issuer
	}
	values := fields[k.field]
	if index >= len(values) || index >= maxFieldValues || values[index] == "" || utf8.RuneCountInString(values[index]) > maxFieldLength {
		return "", false
	}
	return escape(values[index]), true
}

func escape(value string) string {
	const reserved = `,"\+=<>;`
	if !strings.ContainsAny(value, reserved) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if strings.IndexByte(reserved, value[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// unsafeInVariables are the characters that would let a client write wildcards
// into its own policy: one that calls itself "+" must not get my/+/topic.
const unsafeInVariables = "*?$+#"

// substitute returns the value that replaces ${…}.
func (k key) substitute(who *iot.Principal) (string, bool) {
	value, ok := k.value(who)
	return value, ok && !strings.ContainsAny(value, unsafeInVariables)
}

// absence says why the key cannot be substituted for who.
func (k key) absence(who *iot.Principal) string {
	about := []keyKind{thingName, thingType, thingAttribute}
	value, ok := k.value(who)
	switch {
	case ok:
		return fmt.Sprintf("${%s} is %q, and a value with any of %s is not substituted", k.name, value, unsafeInVariables)
	case k.kind == unknownKey:
		return fmt.Sprintf("there is no variable ${%s}", k.name)
	case slices.Contains(about, k.kind) && who.Thing == nil:
		return fmt.Sprintf("${%s} has no value: no thing is named like the client id %q", k.name, who.ClientID)
	case k.kind >= certificateID && who.Certificate == nil:
		return fmt.Sprintf("${%s} has no value: the client has no certificate", k.name)
	default:
		return fmt.Sprintf("${%s} has no value", k.name)
	}
}

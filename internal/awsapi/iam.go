package awsapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// IAM is what AWS Identity and Access Management stands on. Without it the
// service is not there. Roles and policies are stored and shown; they decide
// nothing here.
type IAM struct {
	Roles        Roles
	RolePolicies RolePolicies
	Policies     ManagedPolicies
}

func (i *IAM) complete() bool { return i.Roles != nil && i.RolePolicies != nil && i.Policies != nil }

// Roles are the roles of the account. iot.ErrInvalid is for the trust policy
// only; a quota that is reached is iot.ErrLimit.
type Roles interface {
	CreateRole(iot.Role) (iot.Role, error) // iot.ErrExists
	Role(name string) (iot.Role, error)
	Roles() ([]iot.Role, error) // by name
	UpdateRole(name string, change func(*iot.Role) error) (iot.Role, error)
	// DeleteRole fails with iot.ErrConflict while the role has policies.
	DeleteRole(name string) error
}

// RolePolicies are the inline policies and the attachments of roles.
// iot.ErrInvalid is for the document only.
type RolePolicies interface {
	PutRolePolicy(role, name, document string) error
	DeleteRolePolicy(role, name string) error
	AttachRolePolicy(role, arn string) error
	DetachRolePolicy(role, arn string) error
}

// ManagedPolicies are the account's own managed policies. iot.ErrInvalid is for
// the document only.
type ManagedPolicies interface {
	CreatePolicy(iot.ManagedPolicy) (iot.ManagedPolicy, error) // iot.ErrExists
	Policy(arn string) (iot.ManagedPolicy, error)
	Policies() ([]iot.ManagedPolicy, error) // by name
	// DeletePolicy fails with iot.ErrConflict while a role has the policy.
	DeletePolicy(arn string) error
}

func (a *API) iamService() *service {
	svc := queryService("iam", "AWS IAM", "https://iam.amazonaws.com/doc/2010-05-08/",
		slices.Concat(a.roleOperations(), a.rolePolicyOperations(), a.managedPolicyOperations()))
	svc.words = iamWords()
	return svc
}

func iamWords() vocabulary {
	words := stsWords()
	words.notFound, words.internal, words.closed, words.overloaded = "NoSuchEntity", "ServiceFailure", "ServiceFailure", "Throttling"
	words.status = func(code string) int {
		switch code {
		case words.notFound:
			return http.StatusNotFound
		case words.exists, words.conflict, words.limit, words.version:
			return http.StatusConflict
		}
		return 0
	}
	return words
}

// malformed names the refusal of a policy document as IAM does.
func malformed(err error) error {
	if errors.Is(err, iot.ErrInvalid) {
		return coded("MalformedPolicyDocument", err)
	}
	return err
}

// members is a list in XML, with its element even when it is empty.
type members[T any] struct {
	Member []T `xml:"member"`
}

// iamTime is a time in XML: seconds, in UTC.
func iamTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// iamDocument is a policy document in XML: escaped as in a URL, as AWS does.
func iamDocument(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// iamForm are the members of a request to IAM.
type iamForm struct{ url.Values }

func (q *request) iamForm() iamForm { return iamForm{q.form()} }

func (f iamForm) name(member string, most int) (string, error) {
	value := f.Get(member)
	if !f.Has(member) {
		return "", required(iamMember(member))
	}
	return value, constraint{1, most, "_+=,.@-"}.check(iamMember(member), value)
}

func (f iamForm) roleName() (string, error)   { return f.name("RoleName", 64) }
func (f iamForm) policyName() (string, error) { return f.name("PolicyName", 128) }

// iamMember is how IAM's messages spell a member.
func iamMember(member string) string { return strings.ToLower(member[:1]) + member[1:] }

func (f iamForm) policyARN() (string, error) {
	arn := f.Get("PolicyArn")
	switch {
	case arn == "":
		return "", required("policyArn")
	case len(arn) < 20:
		return "", unmet("policyArn", arn, "have length greater than or equal to 20")
	case len(arn) > 2048:
		return "", unmet("policyArn", arn, "have length less than or equal to 2048")
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "policy/") || strings.HasSuffix(arn, "/") {
		return "", newFault("InvalidInput", "ARN "+arn+" is not valid: it is not that of a policy, arn:aws:iam::ACCOUNT:policy/NAME")
	}
	return arn, nil
}

// path reads a path such as /service-role/; absent it is /.
func (f iamForm) path() (string, error) {
	path := f.Get("Path")
	other := func(r rune) bool { return r < '!' || r > '~' }
	switch {
	case !f.Has("Path"):
		return "/", nil
	case len(path) > 512:
		return "", unmet("path", path, "have length less than or equal to 512")
	case !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/") || strings.ContainsFunc(path, other):
		return "", unmet("path", path, `satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)`)
	}
	return path, nil
}

// document reads a policy document.
func (f iamForm) document(member string) (string, error) {
	text := f.Get(member)
	other := func(r rune) bool { return r != '\t' && r != '\n' && r != '\r' && (r < ' ' || r > 0xff) }
	switch {
	case text == "":
		return "", required(iamMember(member))
	case utf8.RuneCountInString(text) > 131072:
		return "", unmet(iamMember(member), text, "have length less than or equal to 131072")
	case strings.ContainsFunc(text, other):
		return "", unmet(iamMember(member), text, `satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+`)
	}
	return text, nil
}

func (f iamForm) description() (string, error) {
	text := f.Get("Description")
	if utf8.RuneCountInString(text) > 1000 {
		return "", unmet("description", text, "have length less than or equal to 1000")
	}
	return text, nil
}

// number reads an integer between low and high; absent gives when absent.
func (f iamForm) number(member string, low, high, absent int) (int, error) {
	text := f.Get(member)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s=%q is not an integer: %w", member, text, iot.ErrInvalid)
	case n < low:
		return 0, unmet(iamMember(member), text, fmt.Sprintf("have value greater than or equal to %d", low))
	case n > high:
		return 0, unmet(iamMember(member), text, fmt.Sprintf("have value less than or equal to %d", high))
	}
	return n, nil
}

// tags reads Tags.member.1.Key, Tags.member.1.Value and so on.
func (f iamForm) tags() (map[string]string, error) {
	tags := make(map[string]string)
	for n := 1; ; n++ {
		member := fmt.Sprintf("Tags.member.%d.", n)
		if !f.Has(member + "Key") {
			return tags, nil
		}
		key := f.Get(member + "Key")
		if err := checkTag(fmt.Sprintf("tags.%d.member", n), key, f.Get(member+"Value")); err != nil {
			return nil, err
		}
		if _, twice := tags[key]; twice {
			return nil, newFault("InvalidInput", "Duplicate tag keys found: "+key)
		}
		tags[key] = f.Get(member + "Value")
	}
}

// iamPage is how IAM ends each of its lists.
type iamPage struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// page takes the page that Marker and MaxItems ask for out of a whole list, which
// is in the order of its names.
func page[T any](f iamForm, all []T, name func(*T) string) ([]T, iamPage, error) {
	after, err := base64.StdEncoding.DecodeString(f.Get("Marker"))
	if err != nil {
		return nil, iamPage{}, fmt.Errorf("marker is not one that a page ended with: %w", iot.ErrInvalid)
	}
	p := paging{after: string(after)}
	if p.size, err = f.number("MaxItems", 1, 1000, 100); err != nil {
		return nil, iamPage{}, err
	}
	if p.after != "" {
		all = slices.DeleteFunc(all, func(v T) bool { return strings.ToLower(name(&v)) <= p.after })
	}
	all, next := take(p, all, func(v *T) string { return strings.ToLower(name(v)) })
	return all, iamPage{next != "", next}, nil
}

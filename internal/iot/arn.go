package iot

import (
	"fmt"
	"strings"
)

// Account is the AWS account that a server answers for: what its ARNs carry.
type Account struct {
	Region string
	ID     string // twelve digits
}

// ARN returns arn:aws:service:region:account:resource.
func (a Account) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + a.Region + ":" + a.ID + ":" + resource
}

// Resource returns the resource part of an ARN of this account, region and
// service. Another account's or region's ARN is foreign: ErrNotFound.
func (a Account) Resource(service, arn string) (string, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", fmt.Errorf("%q is not an ARN (arn:aws:%s:%s:%s:…): %w", arn, service, a.Region, a.ID, ErrInvalid)
	}
	if parts[2] != service || parts[3] != a.Region || parts[4] != a.ID {
		return "", fmt.Errorf("%q does not belong to %s in region %s, account %s: %w", arn, service, a.Region, a.ID, ErrNotFound)
	}
	return parts[5], nil
}

// ARNLike matches as IAM's ArnLike does: * stands for any run of characters, ? for one.
// On a mismatch it goes back to the last star only, so it takes at most
// len(pattern)·len(text) steps.
func ARNLike(pattern, text string) bool {
	p, star, resume := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

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

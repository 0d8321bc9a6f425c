package awsapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// destinations are topic rule destinations in memory. The token of the first is T1.
type destinations map[string]iot.Destination

func (m destinations) CreateDestination(_ context.Context, confirmationURL string) (iot.Destination, error) {
	if !strings.HasPrefix(confirmationURL, "https://") {
		return iot.Destination{}, fmt.Errorf("confirmationUrl: url %q is not https: %w: %w", confirmationURL, iot.ErrDenied, iot.ErrInvalid)
	}
	for arn, d := range m {
		if d.ConfirmationURL == confirmationURL {
			return d, fmt.Errorf("topic rule destination of confirmationUrl %q (%s): %w", confirmationURL, arn, iot.ErrExists)
		}
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(m)+1)
	d := iot.Destination{
		ARN: testAccount().ARN("iot", "ruledestination/http/"+id), ConfirmationURL: confirmationURL,
		Status: iot.DestinationInProgress, Created: testNow(), Updated: testNow(),
	}
	m[d.ARN] = d
	return d, nil
}

func (m destinations) Destination(arn string) (iot.Destination, error) {
	return fetch(m, "topic rule destination", arn)
}

func (m destinations) Destinations() []iot.Destination {
	return slices.SortedFunc(maps.Values(m), func(a, b iot.Destination) int { return strings.Compare(a.ARN, b.ARN) })
}

func (m destinations) SetDestinationStatus(_ context.Context, arn string, status iot.DestinationStatus) error {
	d, err := m.Destination(arn)
	if err != nil {
		return err
	}
	if d.Status == iot.DestinationInProgress {
		return fmt.Errorf("topic rule destination %q is %s: %w", arn, d.Status, iot.ErrInvalid)
	}
	d.Status = status
	m[arn] = d
	return nil
}

func (m destinations) DeleteDestination(arn string) error {
	_, err := m.Destination(arn)
	delete(m, arn)
	return err
}

func (m destinations) confirm(token string) error {
	for i, d := range m.Destinations() {
		if token == fmt.Sprintf("T%d", i+1) {
			d.Status, d.StatusReason = iot.DestinationEnabled, "Because."
			m[d.ARN] = d
			return nil
		}
	}
	return fmt.Errorf("the confirmation token is of no topic rule destination: %w", iot.ErrInvalid)
}

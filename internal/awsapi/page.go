package awsapi

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxPage is the largest page, and the one that is answered to those who name
// no size: fewer round trips, and AWS promises no other.
const maxPage = 250

// paging is where a page starts and how long it is. AWS has two spellings for
// the same: nextToken with maxResults, and marker with pageSize.
type paging struct {
	after string // the last name of the page before
	size  int
}

// tokenPage reads nextToken and maxResults.
func (q *request) tokenPage(largest int) (paging, error) {
	return q.paging("nextToken", "maxResults", largest)
}

// markerPage reads marker and pageSize. Lists are ordered by name or id whatever
// isAscendingOrder says, so that a page costs the same wherever it is.
func (q *request) markerPage() (paging, error) { return q.paging("marker", "pageSize", maxPage) }

func (q *request) paging(token, size string, largest int) (p paging, err error) {
	after, err := base64.StdEncoding.DecodeString(q.query.Get(token))
	if err != nil {
		return p, fmt.Errorf("%s is not one that a page ended with: %w", token, iot.ErrInvalid)
	}
	p.after = string(after)
	p.size, err = q.integer(size, 1, largest, largest)
	return p, err
}

// bodyPage is a page of an operation that has its token and limit in the body.
func bodyPage(token string, limit *int, largest, absent int) (p paging, err error) {
	after, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return p, fmt.Errorf("nextToken is not one that a page ended with: %w", iot.ErrInvalid)
	}
	p.after = string(after)
	p.size, err = bodyLimit(limit, largest, absent)
	return p, err
}

// bodyLimit checks the member limit of a body, from 1 to largest.
func bodyLimit(limit *int, largest, absent int) (int, error) {
	switch {
	case limit == nil:
		return absent, nil
	case *limit < 1:
		return 0, unmet("limit", strconv.Itoa(*limit), "have value greater than or equal to 1")
	case *limit > largest:
		return 0, unmet("limit", strconv.Itoa(*limit), fmt.Sprintf("have value less than or equal to %d", largest))
	}
	return *limit, nil
}

// take ends a page: of the nouns behind p.after, which are one more than the
// page holds when there is a next page, it returns those of the page and the
// token of the next ("" when this is the last).
func take[T any](p paging, nouns []T, name func(*T) string) ([]T, string) {
	if len(nouns) <= p.size {
		return nouns, ""
	}
	nouns = nouns[:p.size]
	return nouns, base64.StdEncoding.EncodeToString([]byte(name(&nouns[p.size-1])))
}

// takeNames is take over all names of a list, in order.
func takeNames(p paging, names []string) ([]string, string) {
	for len(names) > 0 && names[0] <= p.after {
		names = names[1:]
	}
	return take(p, names, func(name *string) string { return *name })
}

// each returns the answers of nouns, never nil: AWS writes an empty list as [].
func each[T, U any](nouns []T, answer func(*T) U) []U {
	answers := make([]U, len(nouns))
	for i := range nouns {
		answers[i] = answer(&nouns[i])
	}
	return answers
}

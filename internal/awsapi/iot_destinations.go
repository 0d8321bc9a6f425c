package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits of topic rule destinations.
const (
	maxDestinationPage = 1000 // ListTopicRuleDestinations' largest page
	maxURL             = 2000 // of a confirmation, in characters
	maxToken           = 2048 // of a confirmation, in characters
)

// confirmPath begins the path of ConfirmTopicRuleDestination. The token behind it is
// the secret, so that those who were sent it may GET the URL unsigned, as on AWS.
const confirmPath = "/confirmdestination/"

func (a *API) destinationOperations() []operation {
	return []operation{
		{"CreateTopicRuleDestination", "POST", "/destinations", 200, a.createDestination},
		{"GetTopicRuleDestination", "GET", "/destinations/{arn+}", 200, a.getDestination},
		{"ListTopicRuleDestinations", "GET", "/destinations", 200, a.listDestinations},
		{"UpdateTopicRuleDestination", "PATCH", "/destinations", 200, a.updateDestination},
		{"DeleteTopicRuleDestination", "DELETE", "/destinations/{arn+}", 200, a.deleteDestination},
		{"ConfirmTopicRuleDestination", "GET", confirmPath + "{confirmationToken+}", 200, a.confirmDestination},
	}
}

// served refuses the operations when there is no engine for them.
func (a *API) destinationsServed() error {
	if a.cfg.Destinations == nil {
		return newFault(codeUnsupported, "topic rule destinations are not supported by this server")
	}
	return nil
}

// httpURL is the configuration, the properties and the summary of an HTTP destination.
type httpURL struct {
	ConfirmationURL string `json:"confirmationUrl"`
}

// destinationOutput is iot's TopicRuleDestination.
type destinationOutput struct {
	ARN               string  `json:"arn"`
	Status            string  `json:"status"`
	CreatedAt         epoch   `json:"createdAt"`
	LastUpdatedAt     epoch   `json:"lastUpdatedAt"`
	StatusReason      string  `json:"statusReason,omitempty"`
	HTTPURLProperties httpURL `json:"httpUrlProperties"`
}

// topicRuleDestination is the answer that holds one destination.
type topicRuleDestination struct {
	Destination destinationOutput `json:"topicRuleDestination"`
}

func destinationAnswer(d *iot.Destination) topicRuleDestination {
	return topicRuleDestination{destinationOutput{
		d.ARN, string(d.Status), epoch(d.Created), epoch(d.Updated), d.StatusReason, httpURL{d.ConfirmationURL},
	}}
}

func (a *API) createDestination(ctx context.Context, q *request) (any, error) {
	var in struct {
		DestinationConfiguration *struct {
			HTTPURLConfiguration *struct {
				ConfirmationURL *string `json:"confirmationUrl"`
			} `json:"httpUrlConfiguration"`
			VPCConfiguration *struct{} `json:"vpcConfiguration"`
		} `json:"destinationConfiguration"`
	}
	if err := errors.Join(a.destinationsServed(), q.decode(&in)); err != nil {
		return nil, err
	}
	of := in.DestinationConfiguration
	if of == nil {
		return nil, required("destinationConfiguration")
	}
	if err := refuseMembers(present{"destinationConfiguration.vpcConfiguration", of.VPCConfiguration != nil}); err != nil {
		return nil, err
	}
	if of.HTTPURLConfiguration == nil {
		return nil, required("destinationConfiguration.httpUrlConfiguration")
	}
	const member = "destinationConfiguration.httpUrlConfiguration.confirmationUrl"
	address := of.HTTPURLConfiguration.ConfirmationURL
	if address == nil {
		return nil, required(member)
	}
	if utf8.RuneCountInString(*address) > maxURL {
		return nil, unmet(member, *address, fmt.Sprintf("have length less than or equal to %d", maxURL))
	}
	d, err := a.cfg.Destinations.CreateDestination(ctx, *address)
	if err != nil {
		return nil, err
	}
	return destinationAnswer(&d), nil
}

// noSuchDestination gives a missing destination the only name that AWS has for it, as
// with rules.
func noSuchDestination(err error) error { return noSuchRule(err) }

func (a *API) getDestination(_ context.Context, q *request) (any, error) {
	if err := a.destinationsServed(); err != nil {
		return nil, err
	}
	d, err := a.cfg.Destinations.Destination(q.labels["arn"])
	if err != nil {
		return nil, noSuchDestination(err)
	}
	return destinationAnswer(&d), nil
}

// destinationSummary is iot's TopicRuleDestinationSummary.
type destinationSummary struct {
	ARN            string  `json:"arn"`
	Status         string  `json:"status"`
	CreatedAt      epoch   `json:"createdAt"`
	LastUpdatedAt  epoch   `json:"lastUpdatedAt"`
	StatusReason   string  `json:"statusReason,omitempty"`
	HTTPURLSummary httpURL `json:"httpUrlSummary"`
}

func (a *API) listDestinations(_ context.Context, q *request) (any, error) {
	if err := a.destinationsServed(); err != nil {
		return nil, err
	}
	p, err := q.tokenPage(maxDestinationPage)
	if err != nil {
		return nil, err
	}
	all := a.cfg.Destinations.Destinations()
	all = all[sort.Search(len(all), func(i int) bool { return all[i].ARN > p.after }):]
	all, next := take(p, all, func(d *iot.Destination) string { return d.ARN })
	return struct {
		Summaries []destinationSummary `json:"destinationSummaries"`
		NextToken string               `json:"nextToken,omitempty"`
	}{each(all, func(d *iot.Destination) destinationSummary {
		return destinationSummary{d.ARN, string(d.Status), epoch(d.Created), epoch(d.Updated), d.StatusReason, httpURL{d.ConfirmationURL}}
	}), next}, nil
}

func (a *API) updateDestination(ctx context.Context, q *request) (any, error) {
	var in struct{ ARN, Status *string }
	switch err := errors.Join(a.destinationsServed(), q.decode(&in)); {
	case err != nil:
		return nil, err
	case in.ARN == nil:
		return nil, required("arn")
	case in.Status == nil:
		return nil, required("status")
	}
	if err := a.cfg.Destinations.SetDestinationStatus(ctx, *in.ARN, iot.DestinationStatus(*in.Status)); err != nil {
		return nil, noSuchDestination(err)
	}
	return empty{}, nil
}

func (a *API) deleteDestination(_ context.Context, q *request) (any, error) {
	if err := a.destinationsServed(); err != nil {
		return nil, err
	}
	if err := a.cfg.Destinations.DeleteDestination(q.labels["arn"]); err != nil {
		return nil, noSuchDestination(err)
	}
	return empty{}, nil
}

func (a *API) confirmDestination(_ context.Context, q *request) (any, error) {
	if a.cfg.ConfirmDestination == nil {
		return nil, newFault(codeUnsupported, "topic rule destinations are not supported by this server")
	}
	token := q.labels["confirmationToken"]
	if utf8.RuneCountInString(token) > maxToken {
		return nil, unmet("confirmationToken", "…", fmt.Sprintf("have length less than or equal to %d", maxToken))
	}
	return nil, a.cfg.ConfirmDestination(token)
}

// confirmationService is iot with nothing but the confirmation of destinations, for
// those who come without a signature.
func (a *API) confirmationService() *service {
	routes := newRoutes([]operation{{"ConfirmTopicRuleDestination", "GET", confirmPath + "{confirmationToken+}", 200, a.confirmDestination}})
	return &service{label: "iot", title: "AWS IoT", wire: restJSON{}, words: iotWords(), unsigned: true, find: routes.find("AWS IoT")}
}

// confirms reports whether a request is an unsigned confirmation of a destination.
func confirms(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, confirmPath) &&
		r.Header.Get("Authorization") == "" && !presigned(r)
}

package target

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The services, as --action-endpoint names them.
const (
	SQS            = "sqs"
	Kinesis        = "kinesis"
	DynamoDB       = "dynamodb"
	CloudWatchLogs = "cloudwatchlogs"
)

// services are all of them.
func services() []string { return []string{SQS, Kinesis, DynamoDB, CloudWatchLogs} }

// Endpoints that are no URL.
const (
	atAWS = "aws"
	self  = "self"
	// byQueue is where a queue's URL points; it is what sqs has by default.
	byQueue = ""
)

// Endpoints says, by service, where requests go: a URL, "aws", or "self" for this
// server's control API. A service that it does not name has its default: dynamodb
// and cloudwatchlogs are at this server, kinesis is at AWS, and an SQS queue is
// where its URL points.
type Endpoints map[string]string

// ParseEndpoints reads SERVICE=URL, SERVICE=aws and SERVICE=self (the values of
// --action-endpoint). For a service that is not among them it takes the variable
// that AWS's client libraries read, such as AWS_ENDPOINT_URL_SQS, unless
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true. It never takes AWS_ENDPOINT_URL: in
// a shell that ran `fieldline env` that is this server, which is neither SQS nor
// Kinesis.
func ParseEndpoints(values []string, getenv func(string) string) (Endpoints, error) {
	all := Endpoints{}
	for _, value := range values {
		service, endpoint, _ := strings.Cut(value, "=")
		if _, twice := all[service]; twice {
			return nil, fmt.Errorf("--action-endpoint names %s twice: %w", service, iot.ErrInvalid)
		}
		if err := checkEndpoint(service, endpoint); err != nil {
			return nil, fmt.Errorf("--action-endpoint %q: %w", value, err)
		}
		all[service] = endpoint
	}
	if strings.EqualFold(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return all, nil
	}
	for _, service := range services() {
		name := Variable(service)
		endpoint := getenv(name)
		if _, named := all[service]; named || endpoint == "" {
			continue
		}
		if err := checkURL(endpoint); err != nil {
			return nil, fmt.Errorf("%s is %q: %w", name, endpoint, err)
		}
		all[service] = endpoint
	}
	return all, nil
}

// Variable returns the environment variable that AWS's client libraries read for
// the endpoint of a service.
func Variable(service string) string {
	if service == CloudWatchLogs {
		return "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"
	}
	return "AWS_ENDPOINT_URL_" + strings.ToUpper(service)
}

// Validate reports an endpoint that cannot be, and how to mend it.
func (e Endpoints) Validate() error {
	for service, endpoint := range e {
		if err := checkEndpoint(service, endpoint); err != nil {
			return fmt.Errorf("endpoint %s=%s: %w", service, endpoint, err)
		}
	}
	return nil
}

func checkEndpoint(service, endpoint string) error {
	switch {
	case !slices.Contains(services(), service):
		return fmt.Errorf("want SERVICE=URL, SERVICE=aws or SERVICE=self, where SERVICE is one of %s: %w", strings.Join(services(), ", "), iot.ErrInvalid)
	case endpoint == atAWS:
		return nil
	case endpoint == self && (service == SQS || service == Kinesis):
		return fmt.Errorf("this server has no %s: give a URL, or %s=aws: %w", service, service, iot.ErrInvalid)
	case endpoint == self:
		return nil
	}
	return checkURL(endpoint)
}

func checkURL(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("want a URL such as http://127.0.0.1:4566, without user, query and fragment: %w", iot.ErrInvalid)
	}
	return nil
}

// of is the endpoint of a service, its default included.
func (e Endpoints) of(service string) string {
	if endpoint, named := e[service]; named {
		return endpoint
	}
	switch service {
	case SQS:
		return byQueue
	case Kinesis:
		return atAWS
	}
	return self
}

// place is where a request goes: a URL, or, without one, AWS's endpoint of the
// region. own says that it is this server.
type place struct {
	url, region string
	own         bool
}

// String names the place for people.
func (p place) String() string {
	if p.url == "" {
		return "AWS in " + p.region
	}
	return p.url
}

// at is where a service other than SQS is.
func (t *Targets) at(service string) place {
	p := place{region: t.cfg.Region}
	switch endpoint := t.cfg.Endpoints.of(service); endpoint {
	case atAWS:
	case self:
		p.url, p.own = t.cfg.Self.URL, true
	default:
		p.url = endpoint
	}
	return p
}

// atQueue is where a queue is. The URL is that of a queue.
func (t *Targets) atQueue(queue *url.URL) place {
	p := place{region: t.cfg.Region}
	region, aws := queueRegion(queue.Hostname())
	if region != "" {
		p.region = region
	}
	switch endpoint := t.cfg.Endpoints.of(SQS); {
	case endpoint == atAWS:
	case endpoint != byQueue:
		p.url, p.region = endpoint, t.cfg.Region
	case !aws:
		p.url = (&url.URL{Scheme: queue.Scheme, Host: queue.Host}).String()
	}
	return p
}

// The hosts of queues: AWS's usual ones, those of before included, and its special
// ones (FIPS, VPC, IPv6).
var (
	usualQueueHost   = regexp.MustCompile(`^(?:sqs\.([a-z]{2}(?:-[a-z]+)+-\d)|([a-z]{2}(?:-[a-z]+)+-\d)\.queue)\.amazonaws\.com(?:\.cn)?$`)
	specialQueueHost = regexp.MustCompile(`(?:^|\.)sqs(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:[a-z]+\.)*(?:amazonaws\.com|amazonaws\.com\.cn|aws)$`)
)

// queueRegion returns the region that the host of a queue's URL names, and whether
// it is a usual one of AWS; to any other, requests go as it stands.
func queueRegion(host string) (region string, usual bool) {
	if host == "queue.amazonaws.com" {
		return "us-east-1", true
	}
	if m := usualQueueHost.FindStringSubmatch(host); m != nil {
		return m[1] + m[2], true
	}
	if m := specialQueueHost.FindStringSubmatch(host); m != nil {
		return m[1], false
	}
	return "", false
}

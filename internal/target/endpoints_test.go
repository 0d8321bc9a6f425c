package target

import (
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestEndpointsComeFromFlagsThenTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		env    map[string]string
		want   Endpoints
		fails  string
	}{
		{"nothing leaves the defaults", nil, nil, Endpoints{}, ""},
		{"a flag gives a URL, AWS or this server", []string{"sqs=http://127.0.0.1:9324", "kinesis=aws", "dynamodb=self"}, nil, Endpoints{SQS: "http://127.0.0.1:9324", Kinesis: "aws", DynamoDB: "self"}, ""},
		{"a variable of AWS's clients gives a URL", nil, map[string]string{"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://a", "AWS_ENDPOINT_URL_SQS": "https://b:1/c"}, Endpoints{CloudWatchLogs: "http://a", SQS: "https://b:1/c"}, ""},
		{"a flag wins over the variable", []string{"dynamodb=aws"}, map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://a"}, Endpoints{DynamoDB: "aws"}, ""},
		{"the variable of all services is not taken", nil, map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, Endpoints{}, ""},
		{"variables may be switched off", nil, map[string]string{"AWS_ENDPOINT_URL_SQS": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, Endpoints{}, ""},
		{"a service that there is not", []string{"s3=aws"}, nil, nil, "sqs, kinesis, dynamodb, cloudwatchlogs"},
		{"no service", []string{"http://127.0.0.1:4566"}, nil, nil, "SERVICE=URL"},
		{"a value that is no URL", []string{"sqs=localhost:9324"}, nil, nil, `--action-endpoint "sqs=localhost:9324": want a URL`},
		{"a value that is empty", []string{"sqs="}, nil, nil, "want a URL"},
		{"a variable that is no URL", nil, map[string]string{"AWS_ENDPOINT_URL_KINESIS": "yes"}, nil, `AWS_ENDPOINT_URL_KINESIS is "yes": want a URL`},
		{"a variable cannot say aws", nil, map[string]string{"AWS_ENDPOINT_URL_KINESIS": "aws"}, nil, "want a URL"},
		{"a URL with a password", []string{"sqs=http://a:b@c"}, nil, nil, "without user"},
		{"a URL of another scheme", []string{"sqs=ftp://c"}, nil, nil, "want a URL"},
		{"a service named twice", []string{"sqs=aws", "sqs=http://a"}, nil, nil, "twice"},
		{"this server has no SQS", []string{"sqs=self"}, nil, nil, "this server has no sqs"},
		{"this server has no Kinesis", []string{"kinesis=self"}, nil, nil, "this server has no kinesis"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseEndpoints(c.values, func(name string) string { return c.env[name] })
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || !errors.Is(err, iot.ErrInvalid) {
					t.Errorf("got %v, want an error that says %q", err, c.fails)
				}
				return
			}
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	for name, cfg := range map[string]Config{
		"an endpoint that is no URL":         {Region: "us-east-1", Self: Self{URL: "http://a"}, Endpoints: Endpoints{SQS: "x"}},
		"no region":                          {Self: Self{URL: "http://a"}},
		"this server without where that is":  {Region: "us-east-1", Self: Self{AccessKeyID: "k", SecretAccessKey: "s"}},
		"this server without its access key": {Region: "us-east-1", Self: Self{URL: "http://a"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestServicesAreWhereTheirEndpointSays(t *testing.T) {
	targets := &Targets{cfg: Config{Region: "eu-west-1", Self: Self{URL: "http://us"}}}
	for _, c := range []struct {
		service, endpoint string
		want              place
	}{
		{Kinesis, "", place{region: "eu-west-1"}},
		{Kinesis, "http://k", place{url: "http://k", region: "eu-west-1"}},
		{DynamoDB, "", place{url: "http://us", region: "eu-west-1", own: true}},
		{DynamoDB, "aws", place{region: "eu-west-1"}},
		{CloudWatchLogs, "", place{url: "http://us", region: "eu-west-1", own: true}},
		{CloudWatchLogs, "self", place{url: "http://us", region: "eu-west-1", own: true}},
		{CloudWatchLogs, "http://l", place{url: "http://l", region: "eu-west-1"}},
	} {
		targets.cfg.Endpoints = nil
		if c.endpoint != "" {
			targets.cfg.Endpoints = Endpoints{c.service: c.endpoint}
		}
		if got := targets.at(c.service); got != c.want {
			t.Errorf("%s=%s is at %+v, want %+v", c.service, c.endpoint, got, c.want)
		}
	}
}

func TestAQueueIsWhereItsURLPoints(t *testing.T) {
	for _, c := range []struct {
		name, queue, endpoint string
		want                  place
	}{
		{"AWS in the region of the URL", "https://sqs.ap-southeast-2.amazonaws.com/1/q", "", place{region: "ap-southeast-2"}},
		{"AWS in China", "https://sqs.cn-north-1.amazonaws.com.cn/1/q", "", place{region: "cn-north-1"}},
		{"AWS's old hosts", "https://us-west-2.queue.amazonaws.com/1/q", "", place{region: "us-west-2"}},
		{"AWS's oldest host", "https://queue.amazonaws.com/1/q", "", place{region: "us-east-1"}},
		{"FIPS", "https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", "", place{url: "https://sqs-fips.us-gov-west-1.amazonaws.com", region: "us-gov-west-1"}},
		{"a VPC", "https://vpce-1.sqs.us-east-2.vpce.amazonaws.com/1/q", "", place{url: "https://vpce-1.sqs.us-east-2.vpce.amazonaws.com", region: "us-east-2"}},
		{"IPv6", "https://sqs.us-east-2.api.aws/1/q", "", place{url: "https://sqs.us-east-2.api.aws", region: "us-east-2"}},
		{"any other origin", "http://127.0.0.1:9324/000000000000/q", "", place{url: "http://127.0.0.1:9324", region: "eu-west-1"}},
		{"a host that only looks like AWS's", "https://sqs.us-east-1.amazonaws.com.example.org/1/q", "", place{url: "https://sqs.us-east-1.amazonaws.com.example.org", region: "eu-west-1"}},
		{"a configured URL wins", "https://sqs.us-east-1.amazonaws.com/1/q", "http://moto:5000", place{url: "http://moto:5000", region: "eu-west-1"}},
		{"aws wins too", "http://127.0.0.1:9324/1/q", "aws", place{region: "eu-west-1"}},
	} {
		targets := &Targets{cfg: Config{Region: "eu-west-1"}}
		if c.endpoint != "" {
			targets.cfg.Endpoints = Endpoints{SQS: c.endpoint}
		}
		u, err := url.Parse(c.queue)
		if err != nil {
			t.Fatal(err)
		}
		if got := targets.atQueue(u); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

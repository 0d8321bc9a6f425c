package target

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestThisServerIsCalledWithItsOwnKey(t *testing.T) {
	s := serve(t, ok(`{}`))
	targets := at(t, "http://127.0.0.1:1", func(c *Config) {
		c.Endpoints = nil
		c.Self = Self{URL: s.URL, AccessKeyID: "OWNKEY", SecretAccessKey: "secret"}
	})
	for _, x := range examples()[2:] {
		if err := targets.perform(t, x.kind, x.request); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.requests() {
		if !strings.Contains(r.authorization, "Credential=OWNKEY/") {
			t.Errorf("%s is signed as %s", r.target, r.authorization)
		}
	}
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests came", n)
	}
}

// A variable that a shell has of `fieldline env` moves nothing.
func TestTheEnvironmentMovesNoEndpoint(t *testing.T) {
	s := serve(t, ok(`{}`))
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1") // only ParseEndpoints reads it
	x := examples()[2]
	if err := at(t, s.URL).perform(t, x.kind, x.request); err != nil {
		t.Error(err)
	}
	targets := at(t, s.URL, func(c *Config) { c.Endpoints = Endpoints{Kinesis: "aws", DynamoDB: "aws", CloudWatchLogs: "aws"} })
	if cfg := targets.clients.config(targets.at(Kinesis)); cfg.BaseEndpoint != nil || len(cfg.ConfigSources) != 0 {
		t.Errorf("AWS is at %v, moved by %v", cfg.BaseEndpoint, cfg.ConfigSources)
	}
}

func TestWithoutCredentialsTheErrorSaysWhichToSet(t *testing.T) {
	s := serve(t, ok(`{}`))
	for _, x := range examples() {
		err := at(t, s.URL, func(c *Config) { c.Credentials = nobody{} }).perform(t, x.kind, x.request)
		if err == nil || refused(err) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
			t.Errorf("%s: %v", x.kind, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent unsigned", n)
	}
}

func TestThisServersKeyIsNotSentToAWS(t *testing.T) {
	targets := at(t, "http://127.0.0.1:1", func(c *Config) {
		c.Endpoints = Endpoints{Kinesis: "aws"}
		c.Self = Self{URL: "http://127.0.0.1:1", AccessKeyID: "OWNKEY", SecretAccessKey: "s"}
		c.Credentials = credentials.NewStaticCredentialsProvider("OWNKEY", "s", "")
	})
	x := examples()[1]
	err := targets.perform(t, x.kind, x.request)
	if err == nil || refused(err) || !strings.Contains(err.Error(), "fieldline env") || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("got %v", err)
	}
}

// alone leaves a process no way to credentials but what the test sets.
func alone(t *testing.T) {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestTheDefaultChainIsAskedWhenNeeded(t *testing.T) {
	alone(t)
	s := serve(t, ok(examples()[1].answer))
	x := examples()[1]
	targets := at(t, s.URL, func(c *Config) { c.Credentials = nil })
	t.Setenv("AWS_ACCESS_KEY_ID", "CHAINKEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if err := targets.perform(t, x.kind, x.request); err != nil {
		t.Fatal(err)
	}
	if got := s.requests()[0].authorization; !strings.Contains(got, "Credential=CHAINKEY/") {
		t.Errorf("signed as %s", got)
	}
}

func TestAnEmptyDefaultChainSaysWhatToSet(t *testing.T) {
	alone(t)
	s := serve(t, ok(`{}`))
	x := examples()[1]
	err := at(t, s.URL, func(c *Config) { c.Credentials = nil }).perform(t, x.kind, x.request)
	if err == nil || refused(err) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || len(err.Error()) > 500 {
		t.Errorf("got %v", err)
	}
}

// scripted are credentials whose looking up is counted.
type scripted struct {
	calls int
	get   func(ctx context.Context) (aws.Credentials, error)
}

func (s *scripted) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.calls++
	return s.get(ctx)
}

// A machine without a role's metadata service does not make each entry wait for it.
func TestAFailedLookUpIsRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{get: func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done() // as a metadata service that does not answer
			return aws.Credentials{}, ctx.Err()
		}}
		c := &chain{log: slog.New(slog.DiscardHandler), found: source}
		for range 3 {
			_, err := c.Retrieve(t.Context())
			if _, none := errors.AsType[*noCredentials](err); !none {
				t.Fatalf("got %v", err)
			}
		}
		if source.calls != 1 {
			t.Errorf("asked %d times at once, want 1", source.calls)
		}
		time.Sleep(chainPause)
		source.get = func(context.Context) (aws.Credentials, error) { return aws.Credentials{AccessKeyID: "K"}, nil }
		if key, err := c.Retrieve(t.Context()); err != nil || key.AccessKeyID != "K" {
			t.Errorf("after a while it has %v, %v", key.AccessKeyID, err)
		}
		if _, err := c.Retrieve(t.Context()); err != nil {
			t.Errorf("and then %v", err)
		}
	})
}

func TestACallerThatGivesUpDoesNotSpoilTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{get: func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		}}
		c := &chain{log: slog.New(slog.DiscardHandler), found: source}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		source.get = func(context.Context) (aws.Credentials, error) { return aws.Credentials{AccessKeyID: "K"}, nil }
		if _, err := c.Retrieve(t.Context()); err != nil {
			t.Errorf("the next one got %v", err)
		}
	})
}

func TestAProfileThatIsMissingIsNamed(t *testing.T) {
	alone(t)
	t.Setenv("AWS_PROFILE", "nowhere")
	c := &chain{region: "us-east-1", log: slog.New(slog.DiscardHandler)}
	_, err := c.Retrieve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nowhere") || errors.Is(err, iot.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

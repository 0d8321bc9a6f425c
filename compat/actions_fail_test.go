package compat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// What can never be done goes to the rule's error action, in AWS's shape, and to the
// dead letters; the other rules do not notice.
func TestATargetThatNeverReturns(t *testing.T) {
	server := moto(t)
	g := newGate(t, server)
	g.shut()
	client := sqs.NewFromConfig(direct(server))
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("readings")})
	if err != nil {
		t.Fatal(err)
	}
	f := upWithTargets(t, []string{"AWS_ENDPOINT_URL_KINESIS=" + g.url()}, "--action-max-age", "3s")
	f.rule("gone", "SELECT * FROM 'actions/+'", fmt.Sprintf(`{"kinesis":{"streamName":"readings","partitionKey":"${key}","roleArn":%q}}`, role))
	f.rule("well", "SELECT n FROM 'actions/+'", fmt.Sprintf(`{"sqs":{"queueUrl":%q,"roleArn":%q}}`, *queue.QueueUrl, role))
	var mu sync.Mutex
	var failures []string
	c := f.client("publisher")
	f.finished(c.Subscribe("errors/#", 1, func(_ mqtt.Client, m mqtt.Message) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, m.Topic()+" "+string(m.Payload()))
	}), "subscribing")
	const n = 6
	f.publish(c, "actions/gone", 0, n)
	received := 0
	f.eventually("the other rule's messages", func() bool {
		page, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil {
			t.Fatal(err)
		}
		received += len(page.Messages)
		return received >= n
	})
	f.eventually("the error action's messages", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(failures) >= n
	})
	mu.Lock()
	defer mu.Unlock()
	checkFailures(t, failures, n)
	var letters []struct {
		Reason, Rule, Topic string
	}
	f.control("/fieldline/dead-letters", &letters)
	if len(letters) != n || letters[0].Rule != "gone" || letters[0].Topic != "actions/gone" || !strings.Contains(letters[0].Reason, "Kinesis stream readings") {
		t.Errorf("the dead letters are %+v", letters)
	}
}

// checkFailures checks what an error action published for n messages.
func checkFailures(t *testing.T, messages []string, n int) {
	t.Helper()
	var seen []int
	for _, m := range messages {
		topic, payload, _ := strings.Cut(m, " ")
		var failure struct {
			RuleName, Topic, ClientID, CloudwatchTraceID, Base64OriginalPayload string
			Failures                                                            []struct{ FailedAction, FailedResource, ErrorMessage string }
		}
		if err := json.Unmarshal([]byte(payload), &failure); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		original, err := base64.StdEncoding.DecodeString(failure.Base64OriginalPayload)
		if err != nil {
			t.Fatal(err)
		}
		var r reading
		if err := json.Unmarshal(original, &r); err != nil {
			t.Fatalf("%s: %v", original, err)
		}
		seen = append(seen, r.N)
		if topic != "errors/gone" || failure.RuleName != "gone" || failure.Topic != "actions/gone" || failure.ClientID != "publisher" || failure.CloudwatchTraceID == "" ||
			len(failure.Failures) != 1 || failure.Failures[0].FailedAction != "KinesisAction" || failure.Failures[0].FailedResource != "readings" ||
			!strings.Contains(failure.Failures[0].ErrorMessage, "connection refused") {
			t.Errorf("the error action published %s", m)
		}
	}
	slices.Sort(seen)
	if want := []int{0, 1, 2, 3, 4, 5}[:n]; !slices.Equal(seen, want) {
		t.Errorf("the error action told of messages %v, want %v", seen, want)
	}
}

// control reads a document of Fieldline's own part of the control API.
func (f *fieldline) control(path string, into any) {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.data, "credentials"))
	if err != nil {
		f.t.Fatal(err)
	}
	var key sigv4.Credentials
	for line := range strings.Lines(string(text)) {
		switch name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) {
		case "aws_access_key_id":
			key.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			key.SecretAccessKey = strings.TrimSpace(value)
		}
	}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.addresses.Control+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	sigv4.Sign(r, nil, key, "fieldline", "us-east-1", time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		f.t.Fatalf("%s answered %d %s: %v", path, res.StatusCode, body, err)
	}
}

package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// hook is a web server that takes what is posted to it, and that can be stopped and
// started again on its port.
type hook struct {
	t       *testing.T
	address string
	server  *http.Server
	mu      sync.Mutex
	got     []posted
}

// posted is one request that came.
type posted struct {
	header http.Header
	uri    string
	body   string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{t: t, address: "127.0.0.1:0"}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *hook) start() {
	h.t.Helper()
	ln, err := net.Listen("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.address = ln.Addr().String()
	srv := &http.Server{Handler: h}
	h.server = srv
	go func() { _ = srv.Serve(ln) }()
}

func (h *hook) stop() { _ = h.server.Close() }

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, posted{r.Header, r.RequestURI, string(body)})
}

// requests are those that have come so far.
func (h *hook) requests() []posted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got
}

// iotCLI runs the AWS CLI on iot and returns what it printed.
func (f *fieldline) iotCLI(args ...string) string {
	f.t.Helper()
	return strings.TrimSpace(f.output(f.tool(nil, ".venv/bin/aws", append([]string{"iot"}, args...)...)))
}

// confirmation is what the n-th request to the hook, from 1 on, confirms with.
func (h *hook) confirmation(f *fieldline, n int, arn string) (token, enableURL string) {
	h.t.Helper()
	f.eventually("the confirmation request", func() bool { return len(h.requests()) >= n })
	got := h.requests()[n-1]
	var body struct{ ARN, ConfirmationToken, EnableURL, MessageType string }
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		h.t.Fatal(err)
	}
	if body.ARN != arn || got.header.Get("x-amz-rules-engine-destination-arn") != arn || body.MessageType != "DestinationConfirmation" ||
		got.header.Get("x-amz-rules-engine-message-type") != body.MessageType || got.uri != "/in?confirmationToken="+body.ConfirmationToken {
		h.t.Errorf("the confirmation request is %+v", got)
	}
	return body.ConfirmationToken, body.EnableURL
}

func TestTopicRuleDestinationsOnTheAWSCLI(t *testing.T) {
	h := newHook(t)
	f := up(t, "--allow-action-host", h.address)
	url := "http://" + h.address + "/in"
	arn := f.iotCLI("create-topic-rule-destination", "--destination-configuration", "httpUrlConfiguration={confirmationUrl="+url+"}",
		"--query", "topicRuleDestination.arn", "--output", "text")
	status := func() string {
		return f.iotCLI("get-topic-rule-destination", "--arn", arn, "--query", "topicRuleDestination.status", "--output", "text")
	}
	want := func(is string) {
		t.Helper()
		if got := status(); got != is {
			t.Errorf("the destination is %s, want %s", got, is)
		}
	}
	token, _ := h.confirmation(f, 1, arn)
	want("IN_PROGRESS")
	f.iotCLI("confirm-topic-rule-destination", "--confirmation-token", token)
	want("ENABLED")
	f.iotCLI("update-topic-rule-destination", "--arn", arn, "--status", "DISABLED")
	want("DISABLED")
	f.iotCLI("update-topic-rule-destination", "--arn", arn, "--status", "ENABLED")
	want("ENABLED")

	f.iotCLI("update-topic-rule-destination", "--arn", arn, "--status", "IN_PROGRESS")
	want("IN_PROGRESS")
	_, enableURL := h.confirmation(f, 2, arn)
	f.fetch(enableURL) // as a browser does
	want("ENABLED")

	listed := f.iotCLI("list-topic-rule-destinations", "--query", "destinationSummaries[].[arn,status,httpUrlSummary.confirmationUrl]", "--output", "text")
	if got := strings.Fields(listed); len(got) != 3 || got[0] != arn || got[1] != "ENABLED" || got[2] != url {
		t.Errorf("list-topic-rule-destinations printed %q", listed)
	}
	f.iotCLI("delete-topic-rule-destination", "--arn", arn)
	if out, err := f.tool(nil, ".venv/bin/aws", "iot", "get-topic-rule-destination", "--arn", arn).CombinedOutput(); err == nil || !strings.Contains(string(out), "UnauthorizedException") {
		t.Errorf("once deleted: %s", out)
	}
	vpc := "vpcConfiguration={subnetIds=[s],vpcId=v,roleArn=arn:aws:iam::123456789012:role/r}"
	if out, err := f.tool(nil, ".venv/bin/aws", "iot", "create-topic-rule-destination", "--destination-configuration", vpc).CombinedOutput(); err == nil || !strings.Contains(string(out), "vpcConfiguration") {
		t.Errorf("a destination in a VPC: %s", out)
	}
}

// A rule posts to a server that is stopped for some seconds: every message arrives,
// as it was.
func TestHTTPActionOutlivesItsServer(t *testing.T) {
	h := newHook(t)
	f := up(t, "--allow-action-host", h.address)
	payload := fmt.Sprintf(`{"sql":"SELECT * FROM 'hook/#'","awsIotSqlVersion":"2016-03-23","actions":[{"http":{"url":"http://%s/in","headers":[{"key":"X-Topic","value":"${topic()}"}]}}]}`, h.address)
	f.iotCLI("create-topic-rule", "--rule-name", "Hook", "--topic-rule-payload", payload)
	const each = 5
	publish := func(from int) {
		for n := from; n < from+each; n++ {
			f.command("pub", fmt.Sprintf("hook/%d", n), fmt.Sprintf(`{"n":%d}`, n))
		}
	}
	arrived := func(most int) bool {
		bodies := make(map[string]bool)
		for _, got := range h.requests() {
			var body struct{ N int }
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.header.Get("X-Topic") != fmt.Sprintf("hook/%d", body.N) ||
				got.header.Get("Content-Type") != "application/json" || got.uri != "/in" {
				t.Fatalf("it was sent %+v", got)
			}
			bodies[got.body] = true
		}
		return len(bodies) == most
	}
	publish(0)
	f.eventually("the first messages", func() bool { return arrived(each) })
	h.stop()
	publish(each)
	time.Sleep(3 * time.Second) // for some tries to fail
	publish(2 * each)
	h.start()
	f.eventually("all messages", func() bool { return arrived(3 * each) })
}

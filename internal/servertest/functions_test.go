package servertest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// A function whose process ends with status 3, and one that never gets ready.
const (
	crashes = "#!/bin/sh\nexit 3\n"
	hangs   = "#!/bin/sh\nexec sleep 1000\n"
)

// deploy creates a function of a bootstrap.
func (s *Server) deploy(name, bootstrap string) {
	s.t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = io.WriteString(w, bootstrap)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.Control("lambda", "POST", "/2015-03-31/functions", map[string]any{
		"FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
		"Role": "arn:aws:iam::123456789012:role/lambda", "Code": map[string]any{"ZipFile": archive.Bytes()},
	}, nil)
}

// TestRuleInvokesCodeThatReplacesTheBuiltIn has a function that crashes stand in for
// ProcessIoTData: the device's message is acknowledged, the function gets it from
// the outbox, and it ends in the dead-letter; once the function is deleted the
// built-in stores the next message. A restart changes nothing of it.
func TestRuleInvokesCodeThatReplacesTheBuiltIn(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	const path = "/functions/ProcessIoTData"
	s.deploy("ProcessIoTData", crashes)
	s.Control("lambda", "PUT", "/2019-09-25"+path+"/event-invoke-config", map[string]int{"MaximumRetryAttempts": 0}, nil)
	s.Restart()

	device := s.Connect("d", config, mqtt.V311)
	device.Publish("sensor/data", `{"device_id":"d","ts":1,"x":1}`)
	s.Eventually("the dead-letter", func() bool { return len(s.deadLetters()) == 1 })
	if letter := s.deadLetters()[0]; !strings.Contains(letter.Reason, "exit status 3") || !strings.HasPrefix(letter.Action, "LambdaAction ") || letter.Outbox != "lambda/ProcessIoTData" {
		t.Errorf("dead letter %+v", letter)
	}
	if got := s.Latest("d"); got != "{}" {
		t.Errorf("stored %s", got)
	}
	s.Control("lambda", "DELETE", "/2015-03-31"+path, nil, nil)
	device.Publish("sensor/data", `{"device_id":"d","ts":2,"x":2}`)
	s.Eventually("the reading", func() bool { return strings.Contains(s.Latest("d"), `"x":2`) })
}

// TestStopDoesNotWaitForFunctionsThatHang stops a server while a function hangs
// behind each door. Nothing of it is an error.
func TestStopDoesNotWaitForFunctionsThatHang(t *testing.T) {
	s := Start(t)
	s.deploy("Hangs", hangs)
	path := s.usersAPI("HTTP")
	id, _, _ := strings.Cut(path[1:], "/")
	arn := "arn:aws:lambda:us-east-1:123456789012:function:Hangs"
	var integration struct{ IntegrationID string }
	s.Control("apigateway", "POST", "/v2/apis/"+id+"/integrations", map[string]string{"integrationType": "AWS_PROXY", "integrationUri": arn, "payloadFormatVersion": "2.0"}, &integration)
	s.Control("apigateway", "POST", "/v2/apis/"+id+"/routes", map[string]string{"routeKey": "$default", "target": "integrations/" + integration.IntegrationID}, nil)
	s.Control("lambda", "POST", "/2015-03-31/functions/Hangs/policy", map[string]string{
		"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com",
	}, nil)
	invoke := s.ControlRequest("POST", "/2015-03-31/functions/Hangs/invocations", nil)
	s.Sign(invoke, nil, "lambda")
	call, err := http.NewRequest(http.MethodGet, s.GatewayURL()+path+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for _, r := range []*http.Request{invoke, call} {
		waiting.Go(func() {
			if res, err := http.DefaultClient.Do(r); err == nil { // or the server is gone
				res.Body.Close()
			}
		})
	}
	s.Eventually("both to be at work", func() bool {
		var logged json.RawMessage
		s.Control("fieldline", "GET", "/fieldline/logs/Hangs", nil, &logged)
		return bytes.Count(logged, []byte("INIT_START")) == 2
	})
	s.Stop()
	waiting.Wait()
}

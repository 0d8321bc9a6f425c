package servertest

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// deployCrashing creates a function whose process ends with status 3.
func (s *Server) deployCrashing(name string) {
	s.t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = io.WriteString(w, "#!/bin/sh\nexit 3\n")
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
	s.deployCrashing("ProcessIoTData")
	s.Control("lambda", "PUT", "/2019-09-25"+path+"/event-invoke-config", map[string]int{"MaximumRetryAttempts": 0}, nil)
	s.Restart()

	device := s.Connect("d", config, mqtt.V311)
	device.Publish("sensor/data", `{"device_id":"d","ts":1,"x":1}`)
	s.Eventually("the dead-letter", func() bool { return len(s.deadLetters()) == 1 })
	if letter := s.deadLetters()[0]; !strings.Contains(letter.Reason, "exit status 3") || !strings.HasPrefix(letter.Action, "lambda/ProcessIoTData") {
		t.Errorf("dead letter %+v", letter)
	}
	if got := s.Latest("d"); got != "{}" {
		t.Errorf("stored %s", got)
	}
	s.Control("lambda", "DELETE", "/2015-03-31"+path, nil, nil)
	device.Publish("sensor/data", `{"device_id":"d","ts":2,"x":2}`)
	s.Eventually("the reading", func() bool { return strings.Contains(s.Latest("d"), `"x":2`) })
}

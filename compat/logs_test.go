package compat

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCloudWatchLogsOnTheSDKs(t *testing.T) {
	f := up(t)
	f.script("logs.py")
	f.script("logs.mjs")
}

func TestCloudWatchLogsOnTheAWSCLI(t *testing.T) {
	f := up(t)
	f.newLogStream("/cli", "s")
	f.putLine("/cli", "s", "first line")
	f.putLine("/cli", "s", "second line")
	out := f.output(f.tool(nil, ".venv/bin/aws", "logs", "filter-log-events", "--log-group-name", "/cli",
		"--filter-pattern", `"second line"`, "--query", "events[].message", "--output", "text"))
	if strings.TrimSpace(out) != "second line" {
		t.Errorf("filter-log-events printed %q", out)
	}
}

// debianCLI is where Debian's package awscli puts version 2 of the CLI, which alone
// has tail, and is too old to know AWS_ENDPOINT_URL.
const debianCLI = "/usr/bin/aws"

func TestTailOfTheAWSCLI(t *testing.T) {
	cli := need(t, debianCLI)
	f := up(t)
	f.newLogStream("/cli", "s")
	tail := f.tool([]string{"PYTHONUNBUFFERED=1"}, cli, "--endpoint-url", "http://"+f.addresses.Control,
		"logs", "tail", "/cli", "--follow", "--format", "short")
	heard := new(buffer)
	tail.Stdout, tail.Stderr = heard, heard
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tail.Process.Kill()
		_ = tail.Wait()
	})
	for _, text := range []string{"first line", "second line"} {
		f.putLine("/cli", "s", text)
		f.eventually("tail to print the "+text, func() bool { return strings.Contains(heard.String(), text) })
	}
	if n := strings.Count(heard.String(), "first line"); n != 1 {
		t.Errorf("tail printed the first line %d times:\n%s", n, heard)
	}
}

func (f *fieldline) newLogStream(group, stream string) {
	f.t.Helper()
	f.output(f.tool(nil, ".venv/bin/aws", "logs", "create-log-group", "--log-group-name", group))
	f.output(f.tool(nil, ".venv/bin/aws", "logs", "create-log-stream", "--log-group-name", group, "--log-stream-name", stream))
}

func (f *fieldline) putLine(group, stream, text string) {
	f.t.Helper()
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	f.output(f.tool(nil, ".venv/bin/aws", "logs", "put-log-events", "--log-group-name", group, "--log-stream-name", stream,
		"--log-events", "timestamp="+now+",message="+text))
}

// What keeps a rule from firing is in the group that AWS IoT writes to.
func TestRuleFailuresAreInCloudWatchLogs(t *testing.T) {
	f := up(t)
	f.command("pub", "sensor/data", "not JSON")
	f.eventually("the failure's log entry", func() bool {
		out, err := f.tool(nil, ".venv/bin/aws", "logs", "filter-log-events", "--log-group-name", "AWSIotLogsV2",
			"--filter-pattern", `{ $.eventType = "RuleExecution" && $.status = "Failure" && $.ruleName = "SendToLambdaRule" }`,
			"--query", "events[].message", "--output", "text").Output()
		return err == nil && strings.Contains(string(out), `"topicName":"sensor/data"`)
	})
}

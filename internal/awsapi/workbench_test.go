package awsapi

import (
	"strings"
	"testing"
)

func TestAServerWithoutAWorkbenchSaysSo(t *testing.T) {
	cfg := newMemory().config()
	cfg.Workbench, cfg.Insight.Trace = nil, nil
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []call{
		{method: "POST", target: "/fieldline/sql", body: "{}"},
		{method: "POST", target: "/fieldline/sql/recent", body: "{}"},
		{method: "POST", target: "/fieldline/sql/replay", body: "{}"},
		{method: "GET", target: "/fieldline/trace"},
		{method: "GET", target: "/fieldline/messages?filter=a&last=1"},
	} {
		c.service = "fieldline"
		if w := c.do(api); w.Code != 400 || !strings.Contains(w.Body.String(), "not supported by this server") {
			t.Errorf("%s %s: answered %d %s", c.method, c.target, w.Code, w.Body)
		}
	}
}

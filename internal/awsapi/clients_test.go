package awsapi

import (
	"strings"
	"testing"
)

func TestClientsAreAskedForAsTheRequestSays(t *testing.T) {
	m := newMemory()
	for _, c := range []struct{ method, target string }{
		{"GET", "/fieldline/clients"},
		{"GET", "/fieldline/clients?connected=true&after=a%2Fb&limit=7"},
		{"GET", "/fieldline/clients?connected=false"},
		{"GET", "/fieldline/clients?connected=any"},
		{"GET", "/fieldline/clients?limit=0"},
		{"DELETE", "/fieldline/clients/a%2Fb"},
		{"DELETE", "/fieldline/clients/a%2Fb?cleanSession=true"},
		{"DELETE", "/fieldline/clients/a%2Fb?preventWill=true&cleanSession=false"},
		{"DELETE", "/fieldline/clients/a%2Fb?cleanSession=perhaps"},
	} {
		call{service: "fieldline", method: c.method, target: c.target}.do(newTestAPI(t, m))
	}
	want := "list  1000 true false; list a/b 7 true false; list  1000 false true; list  1000 true true; " +
		"kick a/b false false; kick a/b true false; kick a/b false true"
	if got := strings.Join(m.asked, "; "); got != want {
		t.Errorf("asked for\n%s, want\n%s", got, want)
	}
}

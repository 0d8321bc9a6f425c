package iot

import "time"

// RuleStatus is what a topic rule is and did since the server started, as
// operators and the dashboard are shown it.
type RuleStatus struct {
	Name       string   `json:"name"`
	SQL        string   `json:"sql"`
	Enabled    bool     `json:"enabled"`
	Broken     bool     `json:"broken,omitempty"` // it does not compile: LastError says why
	Permission bool     `json:"permission"`       // every function it invokes lets it
	Actions    []string `json:"actions"`          // kind and target
	Matched    uint64   `json:"matched"`          // messages on its topic
	Fired      uint64   `json:"fired"`            // of which the statement selected and an action took
	Failed     uint64   `json:"failed"`           // actions that failed
	LastError  string   `json:"lastError"`
}

// LogLine is one line that a function logged.
type LogLine struct {
	N    uint64    `json:"n"` // rises by one with each line of a function
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

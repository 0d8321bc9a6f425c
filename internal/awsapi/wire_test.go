package awsapi

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWire plays the conversations in testdata/wire, each against an API of its
// own. A line "> SERVICE METHOD TARGET" begins a request, signed for the service
// ("-" is unsigned); "> Name: value" lines are its headers and other "> " lines
// its body. "< " lines are the answer: status and error code, then the body.
// -update rewrites the answers.
func TestWire(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	played := play(t, string(text))
	if *update {
		if err := os.WriteFile(file, []byte(played), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, got := strings.Split(string(text), "\n"), strings.Split(played, "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("%s:%d:\nwant %s\ngot  %s", file, i+1, want[i], got[i])
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%s has %d lines, but %d were played", file, len(want), len(got))
	}
}

// play performs the requests of a conversation and returns it with the answers
// that came.
func play(t *testing.T, conversation string) string {
	api := newTestAPI(t, newMemory())
	var out strings.Builder
	var c *call
	flush := func() {
		if c != nil {
			out.WriteString(transcript(c.do(api)))
		}
		c = nil
	}
	for _, line := range strings.Split(strings.TrimSuffix(conversation, "\n"), "\n") {
		if strings.HasPrefix(line, "< ") {
			continue
		}
		asked, isRequest := strings.CutPrefix(line, "> ")
		if !isRequest {
			flush()
		} else if c == nil {
			c = parseCall(t, asked)
		} else if name, value, ok := strings.Cut(asked, ": "); ok && !strings.ContainsAny(name, `{"&`) {
			c.header[name] = value
		} else {
			c.body += asked
		}
		out.WriteString(line + "\n")
	}
	flush()
	return out.String()
}

func parseCall(t *testing.T, line string) *call {
	f := strings.Fields(line)
	if len(f) != 3 {
		t.Fatalf("%q is not SERVICE METHOD TARGET", line)
	}
	c := &call{service: strings.TrimPrefix(f[0], "-"), method: f[1], target: f[2], header: map[string]string{}}
	c.service, c.region, _ = strings.Cut(c.service, "@")
	return c
}

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func transcript(w *httptest.ResponseRecorder) string {
	var out strings.Builder
	fmt.Fprintf(&out, "< %d", w.Code)
	if code := w.Header().Get("x-amzn-ErrorType"); code != "" {
		out.WriteString(" " + code)
	}
	out.WriteString("\n")
	for _, line := range strings.Split(strings.TrimSpace(w.Body.String()), "\n") {
		if line != "" {
			line = uuidPattern.ReplaceAllStringFunc(line, func(id string) string {
				if strings.HasPrefix(id, "00000000-") {
					return id // a thing's, counted by the fake registry
				}
				return "<uuid>"
			})
			out.WriteString("< " + line + "\n")
		}
	}
	return out.String()
}

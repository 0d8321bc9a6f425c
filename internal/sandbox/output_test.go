package sandbox

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// written returns what is logged of output that is written at one moment.
func written(t *testing.T, text string) (logged []string, tail string) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	o, err := newOutput(reader, func(_ time.Time, line string) { logged = append(logged, line) })
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	o.now = func() time.Time { return time.Unix(1700000000, 0) }
	o.add([]byte(text))
	o.flush()
	return logged, string(o.lastLines())
}

func TestOutputBecomesLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"lines end with a newline", "a\n\nb\r\n", []string{"a", "", "b"}},
		{"the last may lack it", "a\nb", []string{"a", "b"}},
		{"a line as long as may be", long + "\nb\n", []string{long, "b"}},
		{"a longer one is cut", long + "123\nb\n", []string{long, "b", dropNotice(0, 3)}},
		{"what is no UTF-8 is replaced", "a\xff\n", []string{"a�"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := written(t, tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("logged %.100q, want %.100q", got, tt.want)
			}
		})
	}
}

func dropNotice(lines, bytes int) string {
	return "LOGS DROPPED Lines: " + strconv.Itoa(lines) + "\tBytes: " + strconv.Itoa(bytes) + "\t(at most 5000 lines and 4194304 bytes a second, 262144 bytes a line)"
}

func TestFloodIsBounded(t *testing.T) {
	got, _ := written(t, strings.Repeat("y\n", maxLinesPerSecond+123))
	if len(got) != maxLinesPerSecond+1 || got[maxLinesPerSecond] != dropNotice(123, 123) {
		t.Errorf("logged %d lines, the last %q", len(got), got[len(got)-1])
	}
	line := strings.Repeat("z", maxLine)
	got, _ = written(t, strings.Repeat(line+"\n", maxBytesPerSecond/maxLine+2))
	if last := got[len(got)-1]; last != dropNotice(2, 2*maxLine) {
		t.Errorf("long lines end with %.100q", last)
	}
}

func TestTailIsTheLastOfTheLog(t *testing.T) {
	var all strings.Builder
	for i := range 4000 {
		all.WriteString("line " + strconv.Itoa(i) + "\n")
	}
	_, tail := written(t, all.String())
	if want := all.String()[all.Len()-tailBytes:]; tail != want {
		t.Errorf("the tail is %d bytes, beginning %.20q; want %.20q", len(tail), tail, want)
	}
}

func TestLogOfAnInvocation(t *testing.T) {
	cfg, log := testConfig(t, "function")
	a := invoke(t, newPool(t, cfg), order{Do: "print", Text: "one\ntwo"})
	id := a.RequestID
	got := log.texts()
	for i, line := range got {
		if strings.HasPrefix(line, "REPORT ") {
			got[i], _, _ = strings.Cut(line, "\t")
		}
	}
	want := []string{
		"INIT_START Runtime Version: provided:al2023", "START RequestId: " + id + " Version: $LATEST",
		"one", "two", "END RequestId: " + id, "REPORT RequestId: " + id,
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
	if tail := string(a.LogTail); !strings.HasPrefix(tail, strings.Join(want[1:], "\n")+"\tDuration: ") || !strings.Contains(tail, "\tMemory Size: 256 MB\tMax Memory Used: ") {
		t.Errorf("the tail is %q", tail)
	}
	for _, e := range log.events {
		if e.Group != "/aws/lambda/Fn" || e.Stream != log.events[0].Stream || !strings.Contains(e.Stream, "/[$LATEST]") {
			t.Errorf("logged to %s %s", e.Group, e.Stream)
		}
	}
}

func TestFloodDoesNotStopTheFunction(t *testing.T) {
	cfg, log := testConfig(t, "function")
	about(t, newPool(t, cfg), order{Do: "flood", N: 200_000})
	if n := len(log.texts()); n < maxLinesPerSecond || n >= 200_000 || !log.contain("LOGS DROPPED") {
		t.Errorf("logged %d lines of 200,000", n)
	}
}

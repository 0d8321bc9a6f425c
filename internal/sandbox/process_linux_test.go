package sandbox

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The server, here this test binary run again, is killed; its function must not
// live on.
func TestProcessDiesWithTheServer(t *testing.T) {
	if os.Getenv("SANDBOX_TEST_SERVER") != "" {
		cfg, _ := testConfig(t, "function")
		os.Stdout.WriteString("PID " + strconv.Itoa(about(t, newPool(t, cfg), order{}).PID) + "\n")
		select {}
	}
	server := exec.Command(os.Args[0], "-test.run=^TestProcessDiesWithTheServer$")
	server.Env = append(os.Environ(), "SANDBOX_TEST_SERVER=1")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "PID ")))
	if err != nil || !alive(pid) {
		t.Fatalf("the server says %q: %v", line, err)
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the function is gone", func() bool { return !running(pid) })
}

// running is false for a process that nobody has reaped yet.
func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestStatOfAProcessWithAHostileName(t *testing.T) {
	rest := " S 10 11 12 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 5 8192 3 18446744073709551615 1"
	for _, name := range []string{"bootstrap", "a) S 1 1 1 (b", "\n", ""} {
		m, ok := parseStat("42 (" + name + ")" + rest)
		if want := (member{parent: 10, session: 12, resident: 3 * int64(os.Getpagesize())}); !ok || m != want {
			t.Errorf("%q: %+v, %v; want %+v", name, m, ok, want)
		}
	}
	for _, text := range []string{"", "42", "42 (a) S 1", "42 (a) S x" + rest} {
		if m, ok := parseStat(text); ok {
			t.Errorf("%q gives %+v", text, m)
		}
	}
}

func TestMembersOfAFamily(t *testing.T) {
	table := map[int]member{
		1:  {parent: 0, session: 1},
		10: {parent: 1, session: 10},  // a leader
		11: {parent: 10, session: 10}, // its child
		12: {parent: 1, session: 10},  // an orphan in its session
		13: {parent: 11, session: 13}, // a grandchild that left the session
		20: {parent: 1, session: 20},  // another leader
		30: {parent: 1, session: 30},  // a stranger
		40: {parent: 41, session: 40}, // a loop
		41: {parent: 40, session: 40},
	}
	leaders := map[int]bool{10: true, 20: true}
	for pid, want := range map[int]int{1: 0, 10: 10, 11: 10, 12: 10, 13: 10, 20: 20, 30: 0, 40: 0, 99: 0} {
		if got, _ := leaderOf(pid, table, leaders); got != want {
			t.Errorf("process %d belongs to %d, want %d", pid, got, want)
		}
	}
}

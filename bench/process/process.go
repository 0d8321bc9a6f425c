// Package process starts and stops the programs that a benchmark measures.
package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a running program with the address that it serves.
type Process struct {
	Addr string
	PID  int
	Stop func() error
}

// patience bounds starting and stopping a program.
const patience = 20 * time.Second

// Start starts a command with a folder of its own; ready reports its address.
func Start(cmd *exec.Cmd, dir string, ready func() (addr string, ok bool)) (*Process, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop := func() error {
		defer os.RemoveAll(dir)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
			return errors.Join(errors.New("the program did not stop"), cmd.Process.Kill())
		}
	}
	for deadline, over := time.Now().Add(patience), false; !over && time.Now().Before(deadline); {
		if addr, ok := ready(); ok {
			return &Process{addr, cmd.Process.Pid, stop}, nil
		}
		select {
		case <-ended:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(log.Name())
	return nil, errors.Join(fmt.Errorf("the program did not start:\n%s", text), stop())
}

// FreeAddr is a loopback address that nobody listens on now.
func FreeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// clockTicks is the unit of /proc/PID/stat, a second's part; 100 on Linux.
const clockTicks = 100

// CPUTime is the processor time that a process has used, on Linux.
func CPUTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// RSS is how much of a process is in memory, in bytes, on Linux. It is counted
// page by page: the sum that the kernel keeps in /proc/PID/status is off by some.
func RSS(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Rss:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no line Rss", path)
}

//go:build unix && !linux

package sandbox

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a process into a session of its own.
func attributes(user *User) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID}
	}
	return attr
}

func restrictThread() error { return nil }

func preferOOM(int) {}

func reap(cmd *exec.Cmd, finish func()) error {
	err := cmd.Wait()
	finish()
	return err
}

// maxResident returns the most bytes that one process had resident; Darwin counts
// bytes.
func maxResident(usage *syscall.Rusage) int64 { return int64(usage.Maxrss) }

// resident returns 0: there is no /proc to ask.
func resident(int) int64 { return 0 }

// family is a process and what it has started.
type family struct {
	members  []int
	resident int64
}

// families returns nothing: memory is not limited here.
func families[T any](map[int]T) map[int]family { return nil }

func proportional([]int) int64 { return 0 }

// killFamily ends a process and those of its process group.
func killFamily(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }

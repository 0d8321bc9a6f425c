package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a process into a session of its own. The kernel kills it when
// the thread that started it dies, and so with this process.
func attributes(user *User) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID}
	}
	return attr
}

// restrictThread keeps this thread, and what it starts, from gaining privileges
// through set-user-ID files.
func restrictThread() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// preferOOM has the kernel end this process before others when memory runs out.
func preferOOM(pid int) {
	// Best effort: the watch over memory is what enforces the limit.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("1000"), 0)
}

// reap waits for a process. It calls finish between the process's end and the
// moment that its pid may be given to another.
func reap(cmd *exec.Cmd, finish func()) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	finish()
	return cmd.Wait()
}

// maxResident returns the most bytes that one process had resident.
func maxResident(usage *syscall.Rusage) int64 { return int64(usage.Maxrss) << 10 }

// resident returns the bytes that a process has resident, 0 when it is gone.
func resident(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// family is a process and what it has started.
type family struct {
	members  []int
	resident int64 // bytes; pages that members share are counted for each
}

// member is a line of the process table.
type member struct {
	parent, session int
	resident        int64
}

// families returns the families of the processes in leaders, by their pid: all
// of their session, and all whose ancestor is one of these. A process that leaves
// the session and whose parent has ended is lost from sight.
func families[T any](leaders map[int]T) map[int]family {
	table := processTable()
	found := make(map[int]family, len(leaders))
	for pid, m := range table {
		leader, ok := leaderOf(pid, table, leaders)
		if !ok {
			continue
		}
		f := found[leader]
		f.members = append(f.members, pid)
		f.resident += m.resident
		found[leader] = f
	}
	return found
}

// proportional returns the bytes that processes have resident, with each shared
// page counted once, which costs more than reading the table.
func proportional(pids []int) int64 {
	var total int64
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), "\nPss:")
		if fields := strings.Fields(after); len(fields) > 0 {
			kilobytes, _ := strconv.ParseInt(fields[0], 10, 64)
			total += kilobytes << 10
		}
	}
	return total
}

func leaderOf[T any](pid int, table map[int]member, leaders map[int]T) (int, bool) {
	const deepest = 64 // a table read while it changes may hold a loop
	for range deepest {
		if _, ok := leaders[pid]; ok {
			return pid, true
		}
		m, ok := table[pid]
		if !ok {
			return 0, false
		}
		if _, ok := leaders[m.session]; ok {
			return m.session, true
		}
		pid = m.parent
	}
	return 0, false
}

func processTable() map[int]member {
	table := make(map[int]member)
	proc, err := os.Open("/proc")
	if err != nil {
		return table
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		if m, ok := parseStat(string(text)); ok {
			table[pid] = m
		}
	}
	return table
}

// parseStat reads the line of proc_pid_stat(5). The second field, a name in
// parentheses, may hold anything.
func parseStat(text string) (member, bool) {
	const parent, session, pages = 1, 3, 21 // fields behind the name
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= pages {
		return member{}, false
	}
	var m member
	var err1, err2, err3 error
	m.parent, err1 = strconv.Atoi(fields[parent])
	m.session, err2 = strconv.Atoi(fields[session])
	m.resident, err3 = strconv.ParseInt(fields[pages], 10, 64)
	m.resident *= int64(os.Getpagesize())
	return m, errors.Join(err1, err2, err3) == nil
}

// killFamily ends a process and all that it started.
func killFamily(pid int) {
	f := families(map[int]bool{pid: true})[pid]
	_ = unix.Kill(-pid, unix.SIGKILL)
	for _, member := range f.members {
		_ = unix.Kill(member, unix.SIGKILL) // most are gone with their group
	}
}

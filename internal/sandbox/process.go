package sandbox

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one execution environment: a bootstrap and what it has started.
type process struct {
	cfg     *Config
	api     *runtimeAPI
	server  *http.Server
	out     *output
	temp    string // its private folder
	started time.Time
	pid     int // also of its session and process group

	exited  chan struct{} // closed when it has ended and is reaped
	exitHow string        // as exec.ExitError words it; set before exited is closed
	ended   func(*process)

	signals sync.Mutex // guards against signalling a recycled pid
	reaped  bool

	peak atomic.Int64 // bytes that were resident at most

	broken bool // it must not be used again; of the invocation that has the process

	// Guarded by Pool.mu.
	gone      bool        // it has ended
	retired   bool        // it is being ended for having been idle too long
	idleTimer *time.Timer // retires an idle process
}

// entrypointError says that the bootstrap cannot be executed.
type entrypointError struct{ err error }

func (e *entrypointError) Error() string { return e.err.Error() }

// startProcess starts a process. It calls ended once, after the process has
// ended, and not at all when it returns an error.
func startProcess(cfg *Config, ended func(*process)) (*process, error) {
	p := &process{cfg: cfg, started: time.Now(), exited: make(chan struct{}), ended: ended}
	stream := streamName(p.started)
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, err
	}
	if p.temp, err = privateFolder(cfg); err != nil {
		_ = listener.Close()
		return nil, err
	}
	writer, err := p.openOutput(stream)
	if err != nil {
		_ = listener.Close()
		_ = os.RemoveAll(p.temp)
		return nil, err
	}
	p.api = newRuntimeAPI(cfg, p.begin)
	p.server = &http.Server{
		Handler:           notFromBrowsers(p.api.handler()),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    1<<20 + 64<<10, // X-Ray error causes may have 1 MiB
		ErrorLog:          discardLog(),
	}
	go func() { _ = p.server.Serve(limitListener(listener, maxConnections)) }() // until p.server is closed
	go p.out.drain()

	p.out.platform("INIT_START Runtime Version: provided:al2023")
	result := make(chan error, 1)
	go p.supervise(environment(cfg, listener.Addr().String(), stream, p.temp), writer, result)
	if err := <-result; err != nil {
		p.cleanUp()
		return nil, err
	}
	return p, nil
}

// privateFolder makes a process's folder for HOME and TMPDIR.
func privateFolder(cfg *Config) (string, error) {
	dir, err := os.MkdirTemp(cfg.TempDir, "function-")
	if err != nil || cfg.User == nil {
		return dir, err
	}
	if err := os.Chown(dir, int(cfg.User.UID), int(cfg.User.GID)); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// openOutput makes the pipe for the process's output and returns its write end.
func (p *process) openOutput(stream string) (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if p.out, err = newOutput(reader, logEvents(p.cfg, stream)); err != nil {
		_, _ = reader.Close(), writer.Close()
		return nil, err
	}
	return writer, nil
}

// supervise starts the bootstrap, says so in result, and waits until it has
// ended. It keeps its thread, which ends with it: the process's parent is that
// thread where the kernel sends a signal at the parent's death, and the thread is
// barred from gaining privileges.
func (p *process) supervise(env []string, output *os.File, result chan<- error) {
	runtime.LockOSThread()
	cmd, err := p.exec(env, output)
	_ = output.Close()
	if err != nil {
		result <- err
		return
	}
	p.pid = cmd.Process.Pid
	preferOOM(p.pid)
	result <- nil

	err = reap(cmd, p.finish)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		p.exitHow = exit.Error()
	}
	if state := cmd.ProcessState; state != nil {
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			p.observe(maxResident(usage))
		}
	}
	p.out.flush()
	p.cleanUp()
	p.ended(p)
	close(p.exited)
}

// exec starts the bootstrap. A file that another fork still holds open for
// writing is tried again.
func (p *process) exec(env []string, output *os.File) (*exec.Cmd, error) {
	if err := restrictThread(); err != nil {
		return nil, fmt.Errorf("giving up privileges: %w", err)
	}
	const attempts, pause = 20, 10 * time.Millisecond
	for i := range attempts {
		cmd := exec.Command(filepath.Join(p.cfg.Dir, "bootstrap"))
		cmd.Dir, cmd.Env = p.cfg.Dir, env
		cmd.Stdout, cmd.Stderr = output, output
		cmd.SysProcAttr = attributes(p.cfg.User)
		err := cmd.Start()
		switch {
		case err == nil:
			return cmd, nil
		case errors.Is(err, syscall.ETXTBSY) && i < attempts-1:
			time.Sleep(pause)
		case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EPERM):
			return nil, err
		default:
			return nil, &entrypointError{err}
		}
	}
	return nil, errors.New("unreachable: the last attempt returns")
}

// await offers the process a call and waits for its outcome. It reports false
// when a warm process has ended before it took the call.
func (p *process) await(c *call, cold bool) (outcome, bool) {
	id := c.in.RequestID
	limit := max(initTimeout, p.cfg.Timeout)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	p.api.calls <- c
	select {
	case <-c.delivered:
	case o := <-p.api.initFailed:
		return p.breakOff(o), true
	case <-p.exited:
		select {
		case <-p.api.calls: // it never took the call
			return p.breakOff(p.lastWords(p.api.initFailed, id)), cold
		case <-c.delivered:
		}
	case <-timer.C:
		return p.breakOff(timedOut(id, limit)), true
	}

	timer.Reset(time.Until(c.deadline))
	select {
	case o := <-c.done:
		return o, true
	case <-p.exited:
		return p.breakOff(p.lastWords(c.done, id)), true
	case <-timer.C:
		return p.breakOff(timedOut(id, p.cfg.Timeout)), true
	}
}

// lastWords returns what a process that has ended said before, or how it ended.
func (p *process) lastWords(said <-chan outcome, requestID string) outcome {
	select {
	case o := <-said:
		return o
	default:
		return exited(requestID, p.exitHow)
	}
}

// breakOff ends the process at once and passes o on.
func (p *process) breakOff(o outcome) outcome {
	p.broken = true
	p.kill()
	select {
	case <-p.exited: // so that its slot is free when the caller hears of it
	case <-time.After(shutdownGrace): // the kernel does not let go of it yet
	}
	return o
}

// begin logs the start of an invocation that the process takes.
func (p *process) begin(c *call) {
	p.out.begin()
	p.out.platform("START RequestId: " + c.in.RequestID + " Version: $LATEST")
}

// report logs the end of an invocation, and returns the tail of its log.
func (p *process) report(c *call, o outcome, cold bool) []byte {
	now := time.Now()
	start := now
	select {
	case <-c.delivered:
		start = c.start
	default: // the process never took it
		p.begin(c)
	}
	p.out.flush()
	id := c.in.RequestID
	if o.timeout > 0 {
		p.out.platform(fmt.Sprintf("%s %s Task timed out after %.2f seconds", now.UTC().Format("2006-01-02T15:04:05.000Z"), id, o.timeout.Seconds()))
	}
	p.out.platform("END RequestId: " + id)
	p.observe(resident(p.pid))
	ms := float64(now.Sub(start)) / float64(time.Millisecond)
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		id, ms, math.Ceil(ms), p.cfg.Memory, (p.peak.Load()+1<<20-1)>>20)
	if cold {
		line += fmt.Sprintf("Init Duration: %.2f ms\t", float64(start.Sub(p.started))/float64(time.Millisecond))
	}
	p.out.platform(line + o.status())
	return p.out.lastLines()
}

// observe notes how many bytes are resident.
func (p *process) observe(bytes int64) {
	for peak := p.peak.Load(); bytes > peak && !p.peak.CompareAndSwap(peak, bytes); {
		peak = p.peak.Load()
	}
}

// maxMemory returns how many bytes may be resident.
func (p *process) maxMemory() int64 { return int64(p.cfg.Memory) << 20 }

// terminate asks the process to end, makes it after the grace, and waits.
func (p *process) terminate() {
	p.signals.Lock()
	if !p.reaped {
		_ = unix.Kill(-p.pid, unix.SIGTERM) // it may have ended by itself
	}
	p.signals.Unlock()
	select {
	case <-p.exited:
	case <-time.After(shutdownGrace):
		p.kill()
		<-p.exited
	}
}

// kill ends the process and all that it started.
func (p *process) kill() {
	p.signals.Lock()
	defer p.signals.Unlock()
	if !p.reaped {
		killFamily(p.pid)
	}
}

// finish ends what a process that has ended leaves behind.
func (p *process) finish() {
	p.signals.Lock()
	defer p.signals.Unlock()
	killFamily(p.pid)
	p.reaped = true
}

// cleanUp frees what the process had from us.
func (p *process) cleanUp() {
	_ = p.server.Close()
	p.out.close()
	if err := os.RemoveAll(p.temp); err != nil {
		p.cfg.Logger.Warn("a function's temporary folder stays", "function", p.cfg.Function, "folder", p.temp, "error", err)
	}
}

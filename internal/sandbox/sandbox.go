// Package sandbox runs Lambda functions: any executable named bootstrap that
// speaks the Lambda Runtime API, as warm processes of this machine.
//
// A [Pool] is one function. Each of its processes takes one event at a time over
// a Runtime API listener of its own, stays warm for the next, and is ended when
// it has been idle for a while, exceeds its time or its memory, or breaks. What a
// function does wrong is an answer in AWS's words, never an error of the pool.
//
// A process starts with an environment made from nothing, in a session of its
// own, with a private temporary folder, as the user that [Config] names. That
// keeps it from the files of the server; it is no virtual machine. Functions of
// one user can reach each other's processes and files, and every program of this
// machine can reach their Runtime APIs, which have no authentication of their own.
// Disk space and network are not limited.
//
// A process is killed with its whole session and all its descendants. Only a
// descendant that leaves the session after its parent has ended escapes that. When
// the server itself is killed, Linux kills the bootstraps, not what they started.
//
// The memory limit counts the resident pages of the process and its children a
// few times a second, of idle ones every other second (RLIMIT_AS would break Go,
// Node and Java), so a function can exceed it for a moment; it needs Linux's /proc and is not enforced elsewhere.
//
// A [Proxy] leads functions that fix an API Gateway host name in their code to the
// local gateway. Pool and Proxy are safe for concurrent use.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Config says what one function's processes are.
type Config struct {
	Function string // the name
	ARN      string // with the qualifier that events are told, if any
	Handler  string
	Dir      string // absolute; the unpacked code, with an executable bootstrap that User can read

	Environment map[string]string // the function's own variables
	// Platform is what the server adds: region, credentials, endpoint, proxy. A name
	// that Lambda reserves is taken from here only; Environment wins over the others.
	Platform map[string]string

	Memory      int           // MB that a process and its children may hold; 128
	Timeout     time.Duration // of one invocation; 3 s
	Concurrency int           // processes at most; 10
	IdleTimeout time.Duration // after which a process without work is ended; 5 min

	// Log takes the function's lines and Lambda's about it, in order for each
	// process, which is one log stream. It must not block. Nil discards them.
	Log     func(iot.LogEvent)
	User    *User        // nil: as this process, which may then read all that the server can
	TempDir string       // parent of each process's private folder (HOME, TMPDIR); os.TempDir()
	Logger  *slog.Logger // of the server; nil discards
}

// User is the user and group that processes run as, with no supplementary groups.
type User struct{ UID, GID uint32 }

const (
	initTimeout   = 10 * time.Second       // of a cold start, when Timeout is not longer
	shutdownGrace = 500 * time.Millisecond // between SIGTERM and SIGKILL
	maxPayload    = 6_291_556              // bytes of an answer: 6 MiB and its envelope, as on AWS
)

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = func(iot.LogEvent) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TempDir == "" {
		c.TempDir = os.TempDir()
	}
	c.Memory = positive(c.Memory, 128)
	c.Timeout = positive(c.Timeout, 3*time.Second)
	c.Concurrency = positive(c.Concurrency, 10)
	c.IdleTimeout = positive(c.IdleTimeout, 5*time.Minute)
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (c *Config) validate() error {
	if c.Function == "" || c.ARN == "" {
		return errors.New("sandbox: Config.Function and Config.ARN are required")
	}
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("sandbox: function %s: the folder %q is not absolute: %w", c.Function, c.Dir, iot.ErrInvalid)
	}
	for name, value := range c.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return fmt.Errorf("function %s: the variable %q has a name or value that no process can have: %w", c.Function, name, iot.ErrInvalid)
		}
	}
	info, err := os.Stat(filepath.Join(c.Dir, "bootstrap"))
	switch {
	case err != nil:
		return fmt.Errorf("function %s has no file named bootstrap: %w", c.Function, iot.ErrInvalid)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("function %s: bootstrap is not an executable file: %w", c.Function, iot.ErrInvalid)
	}
	return nil
}

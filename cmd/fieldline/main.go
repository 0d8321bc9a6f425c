// Command fieldline is the AWS IoT real-time pipeline as one program: `fieldline
// up` runs it, the other commands administer and use a running one. `fieldline
// help` lists them.
//
// Exit codes: 0 done, 1 failed, 2 wrong use or a statement that does not parse,
// 3 (sql) the statement did not fire.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones of statements, on machines that have no database of them
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, for those who will not wait.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are a command's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// wrongUse marks an error as wrong use of the command line.
func wrongUse(err error) error { return &exitError{2, err} }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, std streams) int {
	root, ran := rootCommand(std), false
	markRuns(root, &ran)
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(std.err, "fieldline:", err)
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if !ran {
		fmt.Fprintf(std.err, "usage: %s\nsee %s --help\n", command.UseLine(), command.CommandPath())
		return 2
	}
	return 1
}

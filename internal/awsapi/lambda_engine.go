package awsapi

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Lambda is what the operations on functions of one's own stand on. Without it
// only the operations on permissions are there.
type Lambda struct {
	Functions FunctionReader
	Editor    FunctionEditor
	Invoker   FunctionInvoker
	// MaxConcurrency is the account's concurrency, MaxCode its bytes of code.
	MaxConcurrency int
	MaxCode        int64
}

// FunctionReader shows the functions.
type FunctionReader interface {
	Function(name string) (iot.Function, error)
	Functions(after string, limit int) ([]iot.Function, error)
	// Code returns the zip of a function that is not built in.
	Code(name string) ([]byte, error)
}

// FunctionEditor changes the functions, in force and durable when it returns.
// Unless revision is "" it must be the current one (iot.ErrVersionConflict).
type FunctionEditor interface {
	// CreateFunction fails with iot.ErrExists, and with iot.ErrLimit when there
	// would be too much code.
	CreateFunction(f iot.Function, archive []byte) (iot.Function, error)
	UpdateCode(name, revision string, archive []byte, dry bool) (iot.Function, error)
	UpdateFunction(name, revision string, change func(*iot.Function) error) (iot.Function, error)
	DeleteFunction(name string) error
}

// FunctionInvoker runs functions. Its errors wrap iot.ErrOverloaded when the
// function's concurrency, or its outbox, is exhausted.
type FunctionInvoker interface {
	Invoke(ctx context.Context, in iot.Invocation) (iot.Answer, error)
	// InvokeAsync returns when the invocation is durable.
	InvokeAsync(ctx context.Context, in iot.Invocation) error
}

package iot

import "errors"

// Sentinel errors. A package wraps one with the noun it is about
// (fmt.Errorf("thing %q: %w", name, ErrNotFound)); each door maps them to its
// protocol in one function.
var (
	// ErrNotFound: the named thing, certificate, policy, rule or other noun does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: a noun of that name exists already, with other contents.
	ErrExists = errors.New("already exists")
	// ErrInvalid: what was asked for is malformed; the message says where.
	ErrInvalid = errors.New("invalid")
	// ErrDenied: a policy, a permission or a missing session refuses the action.
	ErrDenied = errors.New("denied")
	// ErrConflict: the noun is still in use, or is in a state that forbids the change.
	ErrConflict = errors.New("conflict")
	// ErrVersionConflict: the expected version is not the current one.
	ErrVersionConflict = errors.New("version conflict")
	// ErrLimit: a fixed quota would be exceeded (policy versions, attachments, …).
	ErrLimit = errors.New("limit exceeded")
	// ErrOverloaded: a bound on queued work or on space is reached; nothing was
	// taken, and the same request may succeed later.
	ErrOverloaded = errors.New("overloaded")
	// ErrNoSpace: the disk is below the free-space watermark. It is a kind of
	// ErrOverloaded: errors.Is(err, ErrOverloaded) holds for it too.
	ErrNoSpace error = overload("not enough free disk space")
	// ErrOutboxFull: an action's outbox has reached its limit in bytes. It is a
	// kind of ErrOverloaded.
	ErrOutboxFull error = overload("the action's outbox is full")
	// ErrClosed: the component has been stopped and takes nothing more.
	ErrClosed = errors.New("closed")
	// ErrUnsupported: a feature of AWS or MQTT that Fieldline does not have; the
	// message names it.
	ErrUnsupported = errors.New("not supported")
)

// overload is a named reason for being overloaded.
type overload string

func (o overload) Error() string        { return string(o) }
func (o overload) Is(target error) bool { return target == ErrOverloaded }

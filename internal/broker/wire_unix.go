//go:build unix

package broker

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// instant writes to a connection what the system takes at once. It is made when it
// is first used, and by one writer at a time.
type instant struct {
	raw syscall.RawConn
	try func(fd uintptr) bool
	p   []byte
	n   int
	err error
}

// tryWrite writes as much of p as the system takes without a wait.
func (w *wire) tryWrite(p []byte) (n int, err error) {
	if w.instant == nil {
		sc, ok := w.Conn.(syscall.Conn)
		if !ok {
			return 0, nil
		}
		raw, err := sc.SyscallConn()
		if err != nil {
			return 0, err
		}
		i := &instant{raw: raw}
		i.try = i.write
		w.instant = i
	}
	i := w.instant
	i.p, i.n, i.err = p, 0, nil
	err = i.raw.Write(i.try)
	i.p = nil
	if err == nil {
		err = i.err
	}
	return i.n, err
}

func (i *instant) write(fd uintptr) bool {
	n, err := unix.Write(int(fd), i.p)
	switch err {
	case nil:
		i.n = n
	case unix.EAGAIN, unix.EINTR:
	default:
		i.err = err
	}
	return true
}

package apis

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxPayload is API Gateway's limit on a request and an answer, in bytes.
	maxPayload = 10 << 20
	// mostHeld bounds the bodies that all calls hold at a time, in bytes. Beyond it
	// calls are answered 503.
	mostHeld = 256 << 20
	// bodyTimeout is how long a client may take to send its body.
	bodyTimeout = 30 * time.Second
)

// held is what a call holds of mostHeld.
type held struct {
	all  *atomic.Int64 // of every call
	mine int64
}

// take reads a body of at most limit bytes. The error wraps [iot.ErrOverloaded]
// beyond mostHeld, [iot.ErrLimit] beyond the limit, or is the reader's.
func (h *held) take(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(&heldReader{io.LimitReader(r, limit+1), h})
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("a body has more than %d bytes: %w", limit, iot.ErrLimit)
	}
	return body, err
}

func (h *held) release() { h.all.Add(-h.mine) }

// heldReader counts what is read.
type heldReader struct {
	io.Reader
	held *held
}

func (r *heldReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.held.mine += int64(n)
	if r.held.all.Add(int64(n)) > mostHeld {
		return n, fmt.Errorf("the calls at work hold bodies of %d bytes: %w", mostHeld, iot.ErrOverloaded)
	}
	return n, err
}

// takeBody reads a call's body, or answers why it does not.
func (e *Engine) takeBody(w http.ResponseWriter, c *call) (ok bool) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // tests' writers have none
	var err error
	c.body, err = c.held.take(c.http.Body, maxPayload)
	switch {
	case err == nil:
		_ = control.SetReadDeadline(time.Time{})
		return true
	case errors.Is(err, iot.ErrLimit):
		w.Header().Set("Connection", "close") // the rest is not read
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(err, iot.ErrOverloaded):
		e.failedCall(c, err)
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
	} // or the client is gone
	return false
}

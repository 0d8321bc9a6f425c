package servertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// ControlError is an error answer of the control API.
type ControlError struct {
	Status        int
	Code, Message string
}

// Error implements error.
func (e *ControlError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// Control performs a control request, which must succeed: it is signed with the
// data folder's access key, in, unless nil, is its JSON body, and the answer is
// decoded into out, unless that is nil.
func (s *Server) Control(service, method, path string, in, out any) {
	s.t.Helper()
	if err := s.TryControl(service, method, path, in, out); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// TryControl is Control for requests that may be refused, with a *[ControlError].
func (s *Server) TryControl(service, method, path string, in, out any) error {
	s.t.Helper()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			s.t.Fatal(err)
		}
	}
	r := s.ControlRequest(method, path, body)
	s.Sign(r, body, service)
	return s.Do(r, out)
}

// Sign signs a control request with the data folder's access key.
func (s *Server) Sign(r *http.Request, body []byte, service string) {
	s.t.Helper()
	key, err := server.LoadCredentials(s.Config.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	sigv4.Sign(r, body, key, service, s.Config.Account.Region, time.Now())
}

// ControlRequest makes a request to the control API that is not signed yet.
func (s *Server) ControlRequest(method, path string, body []byte) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Addresses().Control+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// Do sends a control request as it is. An error answer is a *[ControlError].
func (s *Server) Do(r *http.Request, out any) error {
	s.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode >= 300 {
		var said struct{ Message string } // or "message"
		_ = json.Unmarshal(text, &said)
		code, _, _ := strings.Cut(res.Header.Get("x-amzn-ErrorType"), ":")
		return &ControlError{res.StatusCode, code, said.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		s.t.Fatalf("%s %s: %v in %s", r.Method, r.URL.Path, err, text)
	}
	return nil
}

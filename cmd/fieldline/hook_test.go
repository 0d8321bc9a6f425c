package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hook starts a web server that takes whatever is posted to it, and sets HOOK to its
// URL and HOOK_HOST to its host and port. When it is sent a confirmation request,
// `confirmation` sets TOKEN and ENABLE_URL.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: hook")
	}
	b := new(hookBodies)
	srv := httptest.NewServer(b)
	ts.Defer(srv.Close)
	ts.Setenv("HOOK", srv.URL)
	ts.Setenv("HOOK_HOST", srv.Listener.Addr().String())
	*ts.Value(hookKey{}).(**hookBodies) = b
}

// hookKey is where a script's environment keeps its hook.
type hookKey struct{}

// hookBodies are what was posted.
type hookBodies struct {
	mu  sync.Mutex
	all [][]byte
}

func (b *hookBodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, body)
}

// next takes the oldest body.
func (b *hookBodies) next() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) == 0 {
		return nil
	}
	body := b.all[0]
	b.all = b.all[1:]
	return body
}

// confirmation waits for the next confirmation request at the script's hook.
func confirmation(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: confirmation")
	}
	b := *ts.Value(hookKey{}).(**hookBodies)
	for deadline := time.Now().Add(scriptPatience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var asked struct{ ConfirmationToken, EnableURL string }
		if body := b.next(); body != nil {
			ts.Check(json.Unmarshal(body, &asked))
			ts.Setenv("TOKEN", asked.ConfirmationToken)
			ts.Setenv("ENABLE_URL", asked.EnableURL)
			return
		}
	}
	ts.Fatalf("no confirmation request has come")
}

// fetch URL gets a document without a signature.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] fetch URL")
	}
	res, err := http.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	if ok := res.StatusCode == http.StatusOK; ok == neg {
		ts.Fatalf("GET %s answered %s", args[0], res.Status)
	}
}

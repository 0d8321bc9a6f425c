package compat

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// queue is an SQS queue that is not there until it is mended: POST /mend. GET /got
// answers the bodies that were sent to it, a line each.
type queue struct {
	mu    sync.Mutex
	there bool
	got   []string
}

// ServeHTTP answers SendMessage as SQS does in AWS's JSON protocol.
func (q *queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case r.URL.Path == "/mend":
		q.there = true
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/got":
		fmt.Fprintln(w, strings.Join(q.got, "\n"))
	case r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage":
		http.Error(w, "not SendMessage", http.StatusNotImplemented)
	case !q.there:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-Query-Error", "AWS.SimpleQueueService.NonExistentQueue;Sender")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
	default:
		q.take(w, r)
	}
}

func (q *queue) take(w http.ResponseWriter, r *http.Request) {
	var in struct{ MessageBody string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.got = append(q.got, in.MessageBody)
	sum := md5.Sum([]byte(in.MessageBody)) // which the client checks
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	fmt.Fprintf(w, `{"MessageId":"m-%d","MD5OfMessageBody":%q}`, len(q.got), hex.EncodeToString(sum[:]))
}

// The dashboard writes a rule whose errors are marked in place, tries it on live
// messages, one of its own and history, follows it live, and has what could not be
// done tried again.
func TestDashboardWritesAndFollowsARule(t *testing.T) {
	key := filepath.Join(t.TempDir(), "credentials")
	write(t, key, "[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", key)
	t.Setenv("AWS_REGION", "us-east-1")
	q := new(queue)
	target := httptest.NewServer(q)
	t.Cleanup(target.Close)
	f := up(t, "--demo")
	f.browse("rules", map[string]string{
		"login": strings.TrimSpace(f.command("login")),
		"queue": target.URL + "/123456789012/readings",
		"mend":  target.URL + "/mend",
		"got":   target.URL + "/got",
	})
}

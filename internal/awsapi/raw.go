package awsapi

import (
	"maps"
	"net/http"
)

// raw is the result of an operation whose answer is not a document of its members:
// its body goes out as it is, under headers of its own.
type raw struct {
	status      int
	header      http.Header
	contentType string
	body        []byte
}

func (r raw) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	if r.body == nil {
		w.WriteHeader(r.status)
		return
	}
	writeBody(w, r.status, r.contentType, r.body)
}

package awsapi

import (
	"cmp"
	"encoding/binary"
	"encoding/xml"
	"net/http"
	"path"
	"strings"
)

// unservedService refuses what is for a service that is not here, in the error
// shape of the protocol that the client speaks.
func unservedService(name string, r *http.Request) *service {
	svc := &service{label: "other", title: "service " + cmp.Or(name, "(none)"), anyRegion: true, wire: restJSON{}, words: iotWords()}
	asked := r.Method + " " + r.URL.Path
	switch target := r.Header.Get("X-Amz-Target"); {
	case r.Header.Get("Smithy-Protocol") == smithyCBOR:
		svc.wire, asked = rpcCBOR{}, path.Base(r.URL.Path)
	case target != "":
		svc.wire = targetJSON{version: "1.0"}
		_, asked, _ = strings.Cut(target, ".")
	case name == "s3":
		svc.wire, svc.words = s3XML{}, stsWords()
	case name == "route53" || name == "cloudfront" || isQuery(r): // their errors are alike
		svc.wire, svc.words = query{}, stsWords()
	}
	svc.find = func(q *request) (operation, error) {
		if isQuery(r) {
			asked = q.form().Get("Action")
		}
		return operation{}, unsupported(svc.title, asked)
	}
	return svc
}

// isQuery reports whether a request speaks the query protocol, whose errors are XML.
func isQuery(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") ||
		strings.Contains(r.URL.RawQuery, "Action=")
}

// s3XML is S3's protocol, of which only errors are written.
type s3XML struct{ query }

func (s3XML) fault(w http.ResponseWriter, requestID string, f *fault) {
	body, err := xml.Marshal(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}{Code: f.code, Message: f.message, RequestID: requestID})
	if err != nil { // three strings always encode
		w.WriteHeader(f.status())
		return
	}
	writeBody(w, f.status(), "application/xml", body)
}

// smithyCBOR is the protocol of CloudWatch's metrics and a few other services, as
// their clients name it in a header.
const smithyCBOR = "rpc-v2-cbor"

// rpcCBOR is that protocol, of which only errors are written.
type rpcCBOR struct{ restJSON }

func (rpcCBOR) fault(w http.ResponseWriter, _ string, f *fault) {
	const mapOfTwo = 5<<5 | 2
	body := []byte{mapOfTwo}
	for _, text := range []string{"__type", f.code, "message", f.message} {
		body = appendCBORText(body, text)
	}
	w.Header().Set("Smithy-Protocol", smithyCBOR)
	writeBody(w, f.status(), "application/cbor", body)
}

// appendCBORText appends a text string, its length in four bytes (RFC 8949,
// section 3.1).
func appendCBORText(dst []byte, text string) []byte {
	const textOfLength32 = 3<<5 | 26
	dst = binary.BigEndian.AppendUint32(append(dst, textOfLength32), uint32(len(text)))
	return append(dst, text...)
}

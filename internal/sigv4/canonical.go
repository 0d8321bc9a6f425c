package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest is the text that is signed: every implementation has to
// arrive at the same bytes from the same request.
func (s *signature) canonicalRequest(r *http.Request, payload string) string {
	path, query := target(r)
	var b strings.Builder
	b.WriteString(r.Method + "\n")
	b.WriteString(s.canonicalPath(path) + "\n")
	b.WriteString(s.canonicalQuery(query) + "\n")
	for _, name := range s.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.headers, ";") + "\n")
	b.WriteString(payload)
	return b.String()
}

// target returns path and query as they stand on the wire: sensor%2Fdata and
// sensor/data are different paths, and both must verify.
func target(r *http.Request) (path, query string) {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") { // a request yet to be sent, or one in absolute form
		uri = r.URL.RequestURI()
	}
	path, query, _ = strings.Cut(uri, "?")
	return path, query
}

// canonicalPath encodes the path once more than it is on the wire, without dot
// segments and doubled slashes; S3 takes it as it is.
func (s *signature) canonicalPath(path string) string {
	if s.scope.Service == "s3" {
		return path
	}
	var segments []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			segments = segments[:max(0, len(segments)-1)]
		default:
			segments = append(segments, encode(segment))
		}
	}
	canonical := "/" + strings.Join(segments, "/")
	if len(segments) > 0 && strings.HasSuffix(path, "/") {
		canonical += "/"
	}
	return canonical
}

// canonicalQuery sorts the parameters by their encoded names, then values.
func (s *signature) canonicalQuery(query string) string {
	type parameter struct{ name, value string }
	var parameters []parameter
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair == "" || s.presigned && s.unsigned(name) {
			continue
		}
		parameters = append(parameters, parameter{recode(name), recode(value)})
	}
	slices.SortFunc(parameters, func(a, b parameter) int {
		if order := strings.Compare(a.name, b.name); order != 0 {
			return order
		}
		return strings.Compare(a.value, b.value)
	})
	pairs := make([]string, len(parameters))
	for i, p := range parameters {
		pairs[i] = p.name + "=" + p.value
	}
	return strings.Join(pairs, "&")
}

// unsigned reports whether a parameter of a presigned query was added after
// signing. AWS IoT's WebSocket endpoint alone wants the session token so.
func (s *signature) unsigned(name string) bool {
	return name == "X-Amz-Signature" || name == "X-Amz-Security-Token" && s.scope.Service == "iotdevicegateway"
}

// headerValue returns a header's values with white space folded, joined by commas.
func headerValue(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		// net/http keeps these two apart from the other headers.
		values = []string{r.Host}
		if r.Host == "" {
			values = []string{r.URL.Host}
		}
	case name == "content-length" && len(values) == 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	folded := make([]string, len(values))
	for i, v := range values {
		folded[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(folded, ",")
}

// recode brings a query's name or value into the one encoding that is signed,
// however the client wrote it. What cannot be decoded is encoded as it is.
func recode(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		s = text
	}
	return encode(s)
}

// encode percent-encodes all but RFC 3986's unreserved characters.
func encode(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', upper[c>>4], upper[c&15]})
		}
	}
	return b.String()
}

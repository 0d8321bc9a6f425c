package apis

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func checkCORS(c *iot.CORS) error {
	if c == nil {
		return nil
	}
	if c.MaxAge != nil && (*c.MaxAge < -1 || *c.MaxAge > 86400) {
		return invalid("maxAge of corsConfiguration is -1 to 86400 seconds")
	}
	if c.AllowCredentials && (slices.Contains(c.AllowOrigins, "*") || slices.Contains(c.AllowHeaders, "*") || slices.Contains(c.AllowMethods, "*")) {
		return invalid("corsConfiguration with allowCredentials names its origins, headers and methods: * is none")
	}
	for _, origin := range c.AllowOrigins {
		if origin != "*" && !strings.Contains(origin, "://") {
			return invalid("allowOrigins has origins such as https://example.com, or *; not %q", origin)
		}
	}
	return nil
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// allowOrigin is the value of Access-Control-Allow-Origin; "" for no such header.
func allowOrigin(c *iot.CORS, origin string) string {
	if origin == "" {
		return ""
	}
	for _, allowed := range c.AllowOrigins {
		switch {
		case allowed == "*":
			return "*"
		case strings.EqualFold(allowed, origin):
			return origin
		case strings.HasSuffix(allowed, "://*") && strings.HasPrefix(origin, strings.TrimSuffix(allowed, "*")):
			return origin // https://*: every origin of a scheme
		}
	}
	return ""
}

// answerPreflight answers a preflight request, whatever the API's routes say.
func answerPreflight(w http.ResponseWriter, r *http.Request, c *iot.CORS) {
	if allow := allowOrigin(c, r.Header.Get("Origin")); allow != "" {
		setCORS(w.Header(), c, allow)
		h := w.Header()
		setList(h, "Access-Control-Allow-Methods", c.AllowMethods)
		setList(h, "Access-Control-Allow-Headers", c.AllowHeaders)
		if c.MaxAge != nil {
			h.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func setCORS(h http.Header, c *iot.CORS, allow string) {
	h.Set("Access-Control-Allow-Origin", allow)
	if allow != "*" {
		h.Add("Vary", "Origin")
	}
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	setList(h, "Access-Control-Expose-Headers", c.ExposeHeaders)
}

func setList(h http.Header, name string, values []string) {
	if len(values) > 0 {
		h.Set(name, strings.Join(values, ","))
	}
}

// corsWriter puts the API's CORS headers in the place of the integration's.
type corsWriter struct {
	http.ResponseWriter
	cors  *iot.CORS
	allow string
}

// Unwrap returns the writer beneath, for [http.ResponseController].
func (w *corsWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *corsWriter) WriteHeader(status int) {
	h := w.Header()
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			h.Del(name)
		}
	}
	if w.allow != "" {
		setCORS(h, w.cors, w.allow)
	}
	w.ResponseWriter.WriteHeader(status)
}

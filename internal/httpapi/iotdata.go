package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// serveIoTData answers GET /prod/iotdata: the guide's FetchIoTData.
func (a *API) serveIoTData(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		writeProblem(w, http.StatusMethodNotAllowed, "only GET is answered here", r.Method)
		return
	}
	if a.cfg.IoTData != nil {
		if h := a.cfg.IoTData(); h != nil {
			h.ServeHTTP(w, r)
			return
		}
	}
	query, err := telemetry.ParseQuery(r.URL.Query())
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	res, err := telemetry.Fetch(r.Context(), a.cfg.Readings, query)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	if res.Cursor != "" {
		w.Header().Set("Link", "</prod/iotdata?"+nextPage(r.URL.Query(), res.Cursor)+`>; rel="next"`)
	}
	writeBody(w, http.StatusOK, res.Body)
}

// nextPage is the query of the page at a cursor, without the token or signature
// of this one: those are secret or good for one query only.
func nextPage(query url.Values, cursor string) string {
	maps.DeleteFunc(query, func(name string, _ []string) bool {
		return name == "access_token" || strings.HasPrefix(name, "X-Amz-")
	})
	query.Set("cursor", cursor)
	return query.Encode()
}

// cors lets the web pages that may, read what next answers. A page that may not
// is refused, not only kept from reading.
func (a *API) cors(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(r, origin) {
			if !a.cfg.AllowOrigin(origin) {
				writeProblem(w, http.StatusForbidden, "this page may not read the gateway", "start the server with --allow-origin "+origin)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", "Link")
		}
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next(w, r)
	})
}

// sameOrigin reports whether a page was served by this very gateway.
func sameOrigin(r *http.Request, origin string) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return origin == scheme+r.Host
}

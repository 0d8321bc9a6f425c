package httpapi

import (
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// serveIoTData answers GET /prod/iotdata: the guide's FetchIoTData.
func (a *API) serveIoTData(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p := telemetry.OnlyGET(r.Method)
		w.Header().Set("Allow", telemetry.AllowedMethods)
		writeProblem(w, p.Status, p.Title, p.Detail)
		return
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
		w.Header().Set("Link", telemetry.NextLink(r.URL.Query(), res.Cursor))
	}
	writeBody(w, http.StatusOK, res.Body)
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
			w.Header().Set("Access-Control-Allow-Methods", telemetry.AllowedMethods)
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

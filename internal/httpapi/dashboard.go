package httpapi

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// newDashboard serves the built page. Paths that are no file, such as
// /devices/NAME, are views of the page, which finds out itself which.
func newDashboard(files fs.FS) (http.Handler, error) {
	if files == nil {
		return http.HandlerFunc(serveUnbuilt), nil
	}
	index, err := fs.ReadFile(files, "index.html")
	if errors.Is(err, fs.ErrNotExist) {
		return http.HandlerFunc(serveUnbuilt), nil
	}
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, http.StatusMethodNotAllowed, "only GET is answered here", r.Method+" "+r.URL.Path)
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		info, err := fs.Stat(files, name)
		switch {
		case err == nil && !info.IsDir() && name != "index.html":
			w.Header().Set("Cache-Control", "no-cache")
			if strings.HasPrefix(name, "assets/") { // named by their contents
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			server.ServeHTTP(w, r)
		case strings.HasPrefix(name, "assets/"):
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(index) // the client may be gone
		}
	}), nil
}

func serveUnbuilt(w http.ResponseWriter, _ *http.Request) {
	writePage(w, http.StatusOK, "The dashboard is not built into this program", "Everything else works. To have the page, build with Node 20 or newer:", "make build")
}

// writePage answers with a plain page of one sentence and a command.
func writePage(w http.ResponseWriter, status int, title, text, command string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	page := template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Fieldline</title><h1>{{.Title}}</h1><p>{{.Text}}</p>{{with .Command}}<pre>{{.}}</pre>{{end}}</html>
`))
	_ = page.Execute(w, struct{ Title, Text, Command string }{title, text, command}) // the client may be gone
}

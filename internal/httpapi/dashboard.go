package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// dashboard serves the built page. Paths that are no file, such as
// /devices/NAME, are views of the page, which finds out itself which.
type dashboard struct {
	files http.Handler
	tags  map[string]string // the ETag of each file: its contents' digest
	index []byte
}

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
	d := &dashboard{files: http.FileServerFS(files), tags: make(map[string]string), index: index}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		contents, err := fs.ReadFile(files, name)
		digest := sha256.Sum256(contents)
		d.tags[name] = `"` + hex.EncodeToString(digest[:16]) + `"`
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return d, nil
}

// ServeHTTP answers with a file, or with the page. Files whose names tell their
// contents may be kept for ever; the others are asked for again, by ETag.
func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeProblem(w, http.StatusMethodNotAllowed, "only GET is answered here", r.Method+" "+r.URL.Path)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	tag, isFile := d.tags[name]
	hashed := strings.HasPrefix(name, "assets/")
	switch {
	case !isFile && (hashed || !strings.Contains(name, "/") && path.Ext(name) != ""):
		http.NotFound(w, r) // a file of another build, or a browser's own guess
		return
	case hashed:
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		w.Header().Set("Cache-Control", "no-cache")
	}
	if isFile && name != "index.html" {
		w.Header().Set("ETag", tag)
		d.files.ServeHTTP(w, r)
		return
	}
	w.Header().Set("ETag", d.tags["index.html"])
	http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(d.index))
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
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="/plain.css">
<title>Fieldline</title><h1>{{.Title}}</h1><p>{{.Text}}</p>{{with .Command}}<pre>{{.}}</pre>{{end}}</html>
`))
	_ = page.Execute(w, struct{ Title, Text, Command string }{title, text, command}) // the client may be gone
}

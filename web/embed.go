// Package web holds the dashboard: TypeScript source beside this file, and the
// page that `make web` builds from it, embedded in the program.
//
// It only carries files. Serving them, and saying in the browser how to build
// the page when that has not been done, is the HTTP API's part.
package web

import (
	"embed"
	"io/fs"
)

// all: takes dist/.keep too, so the program compiles before the page is built.
//
//go:embed all:dist
var dist embed.FS

// Files returns the built dashboard: index.html, and beside it assets/ whose
// names carry a hash of their contents. When the page has not been built there
// is no index.html. The result is read-only and safe for concurrent use.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil { // "dist" is a valid path: fs.Sub has no other reason to fail
		return dist
	}
	return files
}

// Command zip packs a program as a Lambda zip for provided.al2023: one file named
// bootstrap that may be executed. The same program gives the same bytes.
package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: zip PROGRAM FILE.zip")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(program, out string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	header := &zip.FileHeader{
		Name: "bootstrap", Method: zip.Deflate,
		Modified: time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC), // the first that a zip can hold
	}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := entry.Write(binary); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, file.Bytes(), 0o644)
}

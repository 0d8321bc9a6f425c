package compat

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goFunction builds testdata/bootstrap and returns the path of its zip.
func goFunction(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bootstrap"), "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "function.zip")
	archive, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	z := zip.NewWriter(archive)
	w, err := z.Create("bootstrap") // without mode bits, as zips made on Windows
	if err == nil {
		_, err = w.Write(binary)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// systemPython reports whether the system's python3, which functions run on, is of
// the version that awslambdaric is installed for.
func systemPython(t *testing.T) bool {
	t.Helper()
	system, err := exec.Command("/usr/bin/python3", "--version").Output()
	if err != nil {
		return false
	}
	ours, err := exec.Command(".venv/bin/python", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	minor := func(version []byte) string {
		parts := strings.Split(string(version), ".")
		return strings.Join(parts[:2], ".")
	}
	return minor(system) == minor(ours)
}

func TestLambda(t *testing.T) {
	archive := goFunction(t)
	python := "PYTHON="
	if systemPython(t) {
		python = "PYTHON=1"
	}
	t.Setenv("PATH", "/usr/bin:/bin:"+os.Getenv("PATH")) // the python3 that functions get
	for _, script := range []string{"lambda.py", "lambda.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Log(up(t).script(script, "LAMBDA_GO="+archive, python))
		})
	}
}

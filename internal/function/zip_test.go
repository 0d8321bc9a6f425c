package function

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestUnzipRefuses(t *testing.T) {
	tests := []struct {
		name  string
		files []file
		says  string
	}{
		{"a path up", []file{{name: "../x"}}, "leads out"},
		{"an absolute path", []file{{name: "/etc/x"}}, "leads out"},
		{"a path of Windows", []file{{name: `..\x`}}, "leads out"},
		{"a link up", []file{{name: "l", text: "../x", mode: fs.ModeSymlink | 0o777}}, "not in it"},
		{"an absolute link", []file{{name: "l", text: "/etc/passwd", mode: fs.ModeSymlink | 0o777}}, "leads out"},
		{"a link up through a link", []file{
			{name: "d/deep/x"},
			{name: "s", text: "d/deep", mode: fs.ModeSymlink | 0o777},
			{name: "s/up", text: "../../../..", mode: fs.ModeSymlink | 0o777},
		}, "link"},
		{"a pipe", []file{{name: "p", mode: fs.ModeNamedPipe}}, "neither a file"},
		{"a file twice", []file{{name: "x"}, {name: "x"}}, "twice"},
		{"a file that is a folder too", []file{{name: "x"}, {name: "x/y"}}, "there twice"},
		{"a path without end", []file{{name: strings.Repeat("d", 1100)}}, "longer than"},
		{"folders without end", []file{{name: strings.Repeat("d/", 100) + "x"}}, "deeper than"},
		{"more folders than are allowed", manyFolders(), "files and folders"},
		{"more bytes than are allowed", []file{{name: "a", text: strings.Repeat("a", 600)}, {name: "b", text: strings.Repeat("b", 600)}}, "smaller than 1000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := unzip(t.TempDir(), pack(t, tt.files...), 1000)
			if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("unzip = %v", err)
			}
		})
	}
}

// manyFolders is a zip of few files in 60,000 folders.
func manyFolders() []file {
	files := make([]file, 1000)
	for i := range files {
		files[i].name = fmt.Sprint(i, "/", strings.Repeat("d/", 60), "x")
	}
	return files
}

func TestUnzipRepairsModesAndKeepsLinks(t *testing.T) {
	dir := t.TempDir()
	err := unzip(dir, pack(t, file{name: "bootstrap"}, file{name: "lib/a.so", mode: 0o600}, file{name: "bin/tool", mode: 0o4711},
		file{name: "lib/b.so", text: "a.so", mode: fs.ModeSymlink | 0o777}), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"bootstrap": 0o755, "lib/a.so": 0o644, "lib/b.so": 0o644, "bin/tool": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestUnzippedFoldersAreOpenToTheFunctionsUser(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	if err := unzip(dir, pack(t, file{name: "lib/bootstrap"}), 1000); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o755, "lib": 0o755, "lib/bootstrap": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestZipOfAFolder(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "bootstrap"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	archive, err := Zip(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := unzip(to, archive, 1000); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "bootstrap")); err != nil || string(text) != "#!/bin/sh\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// FuzzUnzip checks that no archive writes outside its folder, leaves a link out of
// it, or unpacks more than it may.
func FuzzUnzip(f *testing.F) {
	f.Add(pack(f, file{name: "bootstrap", text: "x"}, file{name: "lib/l", text: "../bootstrap", mode: fs.ModeSymlink | 0o777}))
	f.Add(pack(f, file{name: "../x", text: "x"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		const most = 10_000
		parent := t.TempDir()
		dir := filepath.Join(parent, "code")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		refused := unzip(dir, archive, most)
		if beside, _ := os.ReadDir(parent); len(beside) != 1 {
			t.Errorf("written beside the folder: %v", beside)
		}
		var bytes int64
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if info.Mode().IsRegular() {
				bytes += info.Size()
			} else if to, err := filepath.EvalSymlinks(path); refused == nil && (err != nil || !strings.HasPrefix(to, dir)) {
				t.Errorf("%s leads to %s, %v", path, to, err)
			}
			return err
		})
		if err != nil || bytes > most+1 {
			t.Errorf("%d bytes unpacked, %v", bytes, err)
		}
	})
}

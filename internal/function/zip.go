package function

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	maxFiles      = 50_000 // and folders
	maxPath       = 1024   // bytes
	maxLevels     = 64     // of folders
	maxLinkTarget = 4096   // bytes
)

// unzip unpacks a deployment package into an empty folder. Whatever the archive
// says, nothing is written outside it, no link leads out of it, and at most most
// bytes are unpacked. The error wraps [iot.ErrInvalid] when the archive is at
// fault.
func unzip(dir string, archive []byte, most int64) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		//lint:ignore ST1005 AWS's sentence
		return fmt.Errorf("Could not unzip uploaded file. Please check your file, then try to upload again. (%w): %w", err, iot.ErrInvalid)
	}
	if err := checkPaths(z.File); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := unpacking{root: root, most: most, left: most}
	for _, f := range z.File {
		if err := u.add(f); err != nil {
			return fmt.Errorf("%q in the zip: %w", f.Name[:min(len(f.Name), 140)], err)
		}
	}
	if err := u.link(); err != nil {
		return err
	}
	return openFolders(dir)
}

// checkPaths refuses paths that lead out of the function's folder, and more files
// and folders than are allowed: a few bytes of a path are a folder each.
func checkPaths(files []*zip.File) error {
	folders := map[string]bool{".": true}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name, "/")
		shown := name[:min(len(name), 140)]
		switch {
		case strings.Contains(name, `\`) || strings.ContainsRune(name, 0) || !filepath.IsLocal(name):
			return fmt.Errorf("%q in the zip leads out of the function's folder: %w", shown, iot.ErrInvalid)
		case len(name) > maxPath || strings.Count(name, "/") > maxLevels:
			return fmt.Errorf("%q… in the zip is longer than %d bytes or deeper than %d folders: %w", shown, maxPath, maxLevels, iot.ErrInvalid)
		}
		for above := path.Dir(name); !folders[above]; above = path.Dir(above) {
			folders[above] = true
		}
		if entries := len(files) + len(folders) - 1; entries > maxFiles {
			return fmt.Errorf("the zip has %d files and folders or more, %d are allowed: %w", entries, maxFiles, iot.ErrInvalid)
		}
	}
	return nil
}

// openFolders lets every user into a tree's folders, whatever the umask.
func openFolders(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

// unpacking is one archive on its way into a folder.
type unpacking struct {
	root       *os.Root // refuses every path that leads out of it
	most, left int64    // bytes
	links      map[string]string
}

func (u *unpacking) add(f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	mode := f.Mode()
	if strings.HasSuffix(f.Name, "/") {
		mode = fs.ModeDir
	}
	switch mode.Type() {
	case fs.ModeDir:
		return invalidPath(u.root.MkdirAll(name, 0o755))
	case fs.ModeSymlink:
		return u.readLink(name, f)
	case 0:
	default:
		return fmt.Errorf("it is neither a file, a folder nor a link: %w", iot.ErrInvalid)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return invalidPath(err)
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 || name == "bootstrap" { // zips made on Windows have no mode bits
		perm = 0o755
	}
	out, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return invalidPath(err)
	}
	return errors.Join(out.Chmod(perm), u.copy(out, f), out.Close()) // whatever the umask
}

// invalidPath is an error about what a path of the archive collides with; what
// the disk is at fault for stays as it is.
func invalidPath(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("it is there twice: %w", iot.ErrInvalid)
	}
	if wrong, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(wrong.Err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", wrong.Err, iot.ErrInvalid)
	}
	return err
}

// copy unpacks one file. It counts what comes out, not what the header claims.
func (u *unpacking) copy(out io.Writer, f *zip.File) error {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", err, iot.ErrInvalid)
	}
	defer in.Close()
	n, err := io.Copy(out, io.LimitReader(in, u.left+1))
	if u.left -= n; u.left < 0 {
		//lint:ignore ST1005 AWS's sentence
		return fmt.Errorf("Unzipped size must be smaller than %d bytes: %w", u.most, iot.ErrInvalid)
	}
	if _, disk := errors.AsType[*fs.PathError](err); err != nil && !disk {
		return fmt.Errorf("%w: %w", err, iot.ErrInvalid)
	}
	return err
}

// readLink notes a link. Links are made last, so that no file is unpacked
// through one.
func (u *unpacking) readLink(name string, f *zip.File) error {
	var target strings.Builder
	left := u.left
	u.left = min(left, maxLinkTarget)
	if err := u.copy(&target, f); err != nil {
		return err
	}
	u.left = left - int64(target.Len())
	if u.links == nil {
		u.links = make(map[string]string)
	}
	u.links[name] = target.String()
	return nil
}

// link makes the links and checks that each leads to a file of the archive.
func (u *unpacking) link() error {
	for name, target := range u.links {
		if target == "" || strings.ContainsRune(target, 0) || filepath.IsAbs(target) {
			return fmt.Errorf("link %q in the zip leads out of the function's folder: %w", name, iot.ErrInvalid)
		}
		if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("link %q in the zip: %w", name, invalidPath(err))
		}
		if err := u.root.Symlink(target, name); err != nil {
			return fmt.Errorf("link %q in the zip: %w", name, invalidPath(err))
		}
	}
	for name, target := range u.links {
		if _, err := u.root.Stat(name); err != nil {
			return fmt.Errorf("link %q in the zip leads to %q, which is not in it: %w", name, target, iot.ErrInvalid)
		}
	}
	return nil
}

// Zip packs a folder as a deployment package, with its links as the files they
// lead to. Equal folders give equal bytes.
func Zip(dir string) ([]byte, error) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no file: %w", file, iot.ErrInvalid)
		}
		if archive.Len() > maxZipped {
			return fmt.Errorf("%s is larger than %d bytes when zipped: %w", dir, maxZipped, iot.ErrInvalid)
		}
		h := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate}
		h.SetMode(info.Mode().Perm())
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		return errors.Join(err, in.Close())
	})
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

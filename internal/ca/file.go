package ca

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// readPEM returns the contents of a file that holds one block of the given type.
func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, damaged(path, "no PEM block "+kind)
	}
	return block.Bytes, nil
}

// damaged says that a file of ours is not as we wrote it.
func damaged(path, trouble string) error {
	return fmt.Errorf("%s is damaged (%s); restore it from a backup, or without one empty %s: a new root is made, and every device needs a new certificate: %w",
		path, trouble, filepath.Dir(path), iot.ErrInvalid)
}

// writeFile replaces a file as a whole: after a crash it holds either the old
// or the new contents.
func writeFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it has been renamed
	if err := fill(temp, data, mode); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// fill writes and closes a new file.
func fill(f *os.File, data []byte, mode os.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// syncDir makes a rename in the folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

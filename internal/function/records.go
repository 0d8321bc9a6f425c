package function

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// A record is f/NAME → iot.Function as JSON. Its zip is Dir/NAME/SHA256.zip; a
// zip that no record names is left from a change that was cut short.
const recordPrefix = "f/"

func (c *Catalog) readRecords() (list []iot.Function, err error) {
	all := iot.KeyRange{From: []byte(recordPrefix), To: []byte("f0")}
	err = c.cfg.Records.Scan(all, func(key, value []byte) (bool, error) {
		var f iot.Function
		if err := json.Unmarshal(value, &f); err != nil {
			return false, fmt.Errorf("record %q: %w", key, err)
		}
		list = append(list, f)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("functions: %w", err)
	}
	return list, nil
}

func (c *Catalog) writeRecord(f iot.Function) error {
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return c.cfg.Records.Apply([]iot.Write{{Key: []byte(recordPrefix + f.Name), Value: value}}, true)
}

func (c *Catalog) deleteRecord(name string) error {
	return c.cfg.Records.Apply([]iot.Write{{Key: []byte(recordPrefix + name), Delete: true}}, true)
}

// zipFile is where a function's code with that hash, in base64, is kept.
func (c *Catalog) zipFile(name, sha256 string) string {
	sum, _ := base64.StdEncoding.DecodeString(sha256) // made by measure
	return filepath.Join(c.cfg.Dir, name, hex.EncodeToString(sum)+".zip")
}

func (c *Catalog) readZip(name, sha256 string) ([]byte, error) {
	return os.ReadFile(c.zipFile(name, sha256))
}

// writeZip keeps a zip: when it returns, the file is whole and on disk, or not
// there.
func (c *Catalog) writeZip(name, sha256 string, archive []byte) error {
	path := c.zipFile(name, sha256)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "upload-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(archive)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return errors.Join(syncDir(dir), syncDir(c.cfg.Dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeZips removes a function's zips but the one with a hash; all with "".
func (c *Catalog) removeZips(name, sha256 string) {
	dir := filepath.Join(c.cfg.Dir, name)
	if sha256 == "" {
		if err := os.RemoveAll(dir); err != nil {
			c.cfg.Log.Warn("code not removed", "function", name, "err", err)
		}
		return
	}
	kept := filepath.Base(c.zipFile(name, sha256))
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if f.Name() != kept {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	if err != nil {
		c.cfg.Log.Warn("old code not removed", "function", name, "err", err)
	}
}

// sweep removes what an earlier run left: unpacked code, and zips that no record
// names.
func (c *Catalog) sweep(stored []iot.Function) error {
	if err := removeTree(c.cfg.Unpacked); err != nil {
		return fmt.Errorf("unpacked code of an earlier run: %w", err)
	}
	used := make(map[string]string)
	for _, f := range stored {
		used[f.Name] = f.CodeSHA256
	}
	dirs, err := os.ReadDir(c.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range dirs {
		c.removeZips(d.Name(), used[d.Name()])
	}
	return err
}

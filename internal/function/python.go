package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// pythonCheck bounds the start of an interpreter.
const pythonCheck = 20 * time.Second

// prepare makes unpacked code ready to run, or says what it lacks. A python3.*
// function without a bootstrap gets one beside its code, in the unpacked folder
// only, that starts awslambdaric.
func (c *Catalog) prepare(f *iot.Function, dir string) error {
	bootstrap := filepath.Join(dir, "bootstrap")
	switch _, err := os.Lstat(bootstrap); {
	case err == nil:
		return nil // sandbox.New checks it
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case isProvided(f.Runtime):
		return fmt.Errorf("runtime %s runs an executable named bootstrap, which the zip does not have at its root: %w", f.Runtime, iot.ErrInvalid)
	}
	python, err := c.python(dir)
	if err != nil {
		return err
	}
	script := "#!/bin/sh\nexec '" + strings.ReplaceAll(python, "'", `'\''`) + "' -m awslambdaric \"$_HANDLER\"\n"
	return os.WriteFile(bootstrap, []byte(script), 0o755)
}

// python finds an interpreter that has awslambdaric, of its own or in the
// function's folder, and that the functions' user may run.
func (c *Catalog) python(dir string) (string, error) {
	const mend = "put a bootstrap into the zip, or awslambdaric (pip install --target FOLDER awslambdaric), or install it beside the python3 on this server's PATH"
	found, err := exec.LookPath(cmp.Or(c.cfg.Python, "python3"))
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		return "", fmt.Errorf("there is no python3 to run the function (%s): %w by this server", mend, iot.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pythonCheck)
	defer cancel()
	cmd := exec.CommandContext(ctx, found, "-c", "import awslambdaric.bootstrap")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"}
	if u := c.cfg.User; u != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return "", fmt.Errorf("%s cannot import awslambdaric as the functions' user: %w: %s (%s): %w by this server",
			found, err, lines[len(lines)-1], mend, iot.ErrUnsupported)
	}
	return found, nil
}

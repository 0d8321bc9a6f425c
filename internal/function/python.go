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

// What bounds the start of an interpreter, which may run code of the zip.
const (
	pythonCheck  = 20 * time.Second
	pythonGrace  = time.Second // for what it has started and left behind
	pythonOutput = 16 << 10    // bytes
)

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
	if err := os.WriteFile(bootstrap, []byte(script), 0o755); err != nil {
		return err
	}
	return os.Chmod(bootstrap, 0o755) // whatever the umask
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
	if last, err := c.importRuntime(ctx, found, dir); err != nil {
		return "", fmt.Errorf("%s cannot import awslambdaric as the functions' user: %w: %s (%s): %w by this server",
			found, err, last, mend, iot.ErrUnsupported)
	}
	return found, nil
}

// importRuntime has an interpreter import awslambdaric, and returns the last line
// that it wrote.
func (c *Catalog) importRuntime(ctx context.Context, python, dir string) (last string, err error) {
	cmd := exec.CommandContext(ctx, python, "-c", "import awslambdaric.bootstrap")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if u := c.cfg.User; u != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pythonGrace
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Run(); errors.Is(err, exec.ErrWaitDelay) {
		_ = cmd.Cancel() // what holds the pipe open
	}
	text := strings.TrimSpace(string(out.bytes))
	return text[strings.LastIndexByte(text, '\n')+1:], err
}

// tail keeps the last bytes of what is written to it.
type tail struct{ bytes []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.bytes = append(t.bytes, b[max(0, len(b)-pythonOutput):]...)
	t.bytes = t.bytes[max(0, len(t.bytes)-pythonOutput):]
	return len(b), nil
}

package sandbox

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// openFolder returns a folder that every user can enter, which t.TempDir is not.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnprivilegedFunctionCannotReadTheServersFiles(t *testing.T) {
	user, ok := Unprivileged()
	if !ok {
		t.Skip("only root can run functions as another user")
	}
	cfg, _ := testConfig(t, "function")
	cfg.User, cfg.Dir, cfg.TempDir = user, openFolder(t), openFolder(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, self, filepath.Join(cfg.Dir, "bootstrap"), 0o755)
	secret := filepath.Join(cfg.TempDir, "key.pem")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}

	p := newPool(t, cfg)
	s := about(t, p, order{})
	if s.UID != int(user.UID) {
		t.Errorf("runs as user %d, want %d", s.UID, user.UID)
	}
	for _, path := range []string{secret, "/proc/" + strconv.Itoa(os.Getpid()) + "/environ"} {
		if a := invoke(t, p, order{Do: "read", Text: path}); a.Error == "" || !strings.Contains(string(a.Payload), "permission denied") {
			t.Errorf("reading %s answers %.100s", path, a.Payload)
		}
	}
	status := invoke(t, p, order{Do: "read", Text: "/proc/self/status"})
	for _, want := range []string{`\nNoNewPrivs:\t1\n`, `\nGroups:\t \n`} {
		if !strings.Contains(string(status.Payload), want) {
			t.Errorf("its status lacks %s: %s", want, status.Payload)
		}
	}
	private := s.Env[0]
	for _, v := range s.Env {
		if dir, is := strings.CutPrefix(v, "TMPDIR="); is {
			private = dir
		}
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its private folder: %v %v", info, err)
	}
}

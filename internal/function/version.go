package function

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
)

// errReplaced says that another version of the function is in force by now.
var errReplaced = errors.New("the function has been replaced")

// version is one state of a function of one's own: its configuration, and the
// processes that run it. The configuration is immutable.
type version struct {
	iot.Function
	catalog *Catalog

	opening sync.Mutex // held while the code is unpacked

	mu       sync.Mutex
	pool     *sandbox.Pool // nil until the first use
	dir      string        // of its unpacked code
	users    int           // invocations under way
	replaced bool
}

func (c *Catalog) newVersion(f iot.Function) *version {
	return &version{Function: f, catalog: c}
}

// invoke runs one invocation. It fails with errReplaced when the version is no
// longer in force, before anything ran.
func (v *version) invoke(ctx context.Context, in iot.Invocation) (iot.Answer, error) {
	if v.Reserved != nil && *v.Reserved == 0 {
		return iot.Answer{}, fmt.Errorf("function %s has a reserved concurrency of 0, which stops every invocation (aws lambda delete-function-concurrency lifts it): %w", v.Name, iot.ErrOverloaded)
	}
	if err := v.begin(); err != nil {
		return iot.Answer{}, err
	}
	defer v.end()
	pool, err := v.open()
	if err != nil {
		return iot.Answer{}, err
	}
	return pool.Invoke(ctx, in)
}

func (v *version) begin() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.replaced {
		return errReplaced
	}
	v.users++
	return nil
}

func (v *version) end() {
	v.mu.Lock()
	v.users--
	unused := v.replaced && v.users == 0
	v.mu.Unlock()
	if unused {
		v.discard()
	}
}

// replace ends the version once nothing uses it.
func (v *version) replace() {
	v.mu.Lock()
	v.replaced = true
	unused := v.users == 0
	v.mu.Unlock()
	if unused {
		v.discard()
	}
}

// discard ends the processes of a version that nothing uses any more, and removes
// its code. Once the catalog is closed, Close does both.
func (v *version) discard() {
	c := v.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.background.Go(func() {
		v.stop()
		c.mu.Lock()
		delete(c.versions, v)
		c.mu.Unlock()
		if err := removeTree(v.dir); err != nil {
			c.cfg.Log.Warn("unpacked code not removed", "function", v.Name, "err", err)
		}
	})
}

// stop ends the processes.
func (v *version) stop() {
	v.mu.Lock()
	pool := v.pool
	v.mu.Unlock()
	if pool != nil {
		pool.Close()
	}
}

// open returns the pool of the version's processes; the first call unpacks the
// code.
func (v *version) open() (*sandbox.Pool, error) {
	v.opening.Lock()
	defer v.opening.Unlock()
	v.mu.Lock()
	pool := v.pool
	v.mu.Unlock()
	if pool != nil {
		return pool, nil
	}
	c := v.catalog
	archive, err := os.ReadFile(c.zipFile(v.Name, v.CodeSHA256))
	if err != nil {
		return nil, fmt.Errorf("the code of function %s: %w", v.Name, err)
	}
	dir, err := c.unpack(&v.Function, archive)
	if err != nil {
		return nil, err
	}
	if pool, err = sandbox.New(c.sandboxConfig(&v.Function, dir)); err != nil {
		return nil, errors.Join(err, removeTree(dir))
	}
	c.mu.Lock()
	closed := c.closed
	c.versions[v] = struct{}{}
	v.mu.Lock()
	v.pool, v.dir = pool, dir
	v.mu.Unlock()
	c.mu.Unlock()
	if closed {
		pool.Close()
	}
	return pool, nil
}

func (c *Catalog) sandboxConfig(f *iot.Function, dir string) sandbox.Config {
	cfg := sandbox.Config{
		Function: f.Name, ARN: c.cfg.Account.ARN("lambda", "function:"+f.Name), Handler: f.Handler, Dir: dir,
		Environment: maps.Clone(f.Environment),
		Memory:      f.Memory, Timeout: time.Duration(f.Timeout) * time.Second, Concurrency: c.cfg.Concurrency,
		Log: c.cfg.Logs, User: c.cfg.User, Logger: c.cfg.Log,
	}
	if f.Reserved != nil {
		cfg.Concurrency = *f.Reserved
	}
	if c.cfg.Platform != nil {
		cfg.Platform = c.cfg.Platform()
	}
	return cfg
}

// unpack unpacks a function's zip into a folder of its own and checks that it can
// be run.
func (c *Catalog) unpack(f *iot.Function, archive []byte) (dir string, err error) {
	if err := errors.Join(os.MkdirAll(c.cfg.Unpacked, 0o755), os.Chmod(c.cfg.Unpacked, 0o755)); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(c.cfg.Unpacked, f.Name+"-"); err != nil {
		return "", err
	}
	if err = unzip(dir, archive, maxUnzipped); err == nil {
		err = c.prepare(f, dir)
	}
	if err != nil {
		return "", errors.Join(err, removeTree(dir))
	}
	return dir, nil
}

// removeTree removes a folder; "" is none.
func removeTree(dir string) error {
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}

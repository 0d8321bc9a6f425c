package function

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// CreateFunction makes a function of a zip, or has it replace the built-in of its
// name. What f leaves zero gets Lambda's default. The error wraps [iot.ErrExists],
// [iot.ErrInvalid], [iot.ErrUnsupported], or [iot.ErrLimit] when the code of all
// functions would be more than the account may store.
func (c *Catalog) CreateFunction(f iot.Function, archive []byte) (iot.Function, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if e := c.entry(f.Name); e != nil && e.own != nil {
		return f, fmt.Errorf("function %q: %w", f.Name, iot.ErrExists)
	}
	setDefaults(&f)
	return c.replace(f, archive)
}

// UpdateCode replaces a function's code, a built-in's too. Unless revision is ""
// it must be the current one (else [iot.ErrVersionConflict]). With dry the zip is
// checked and nothing changed.
func (c *Catalog) UpdateCode(name, revision string, archive []byte, dry bool) (iot.Function, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	f, err := c.at(name, revision)
	if err != nil {
		return f, err
	}
	if f.BuiltIn {
		f.Description = ""
	}
	if !dry {
		return c.replace(f, archive)
	}
	if err := c.measure(&f, archive); err != nil {
		return f, err
	}
	dir, err := c.unpack(&f, archive)
	return f, errors.Join(err, removeTree(dir))
}

// UpdateFunction changes a function's configuration; its code stays. The error
// wraps [iot.ErrVersionConflict] as UpdateCode's, and [iot.ErrUnsupported] for a
// built-in.
func (c *Catalog) UpdateFunction(name, revision string, change func(*iot.Function) error) (iot.Function, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	f, err := c.at(name, revision)
	if err != nil {
		return f, err
	}
	if f.BuiltIn {
		return f, fmt.Errorf("function %s is built in and cannot be configured; create a function of that name to replace it: %w", name, iot.ErrUnsupported)
	}
	if err := change(&f); err != nil {
		return f, err
	}
	return c.replace(f, nil)
}

// DeleteFunction removes a function of one's own. A built-in of its name stands
// again, with the permissions that there are; otherwise they go too. The error
// wraps [iot.ErrNotFound], or [iot.ErrUnsupported] for a built-in.
func (c *Catalog) DeleteFunction(name string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	e := c.entry(name)
	if e == nil {
		return notFound(name)
	}
	if e.own == nil {
		return fmt.Errorf("function %s is built in and cannot be deleted; delete the rule or the permission that invokes it instead: %w", name, iot.ErrUnsupported)
	}
	if e.builtIn == nil {
		for _, p := range e.allowed {
			if err := c.cfg.Permissions.DeletePermission(name, p.StatementID); err != nil {
				return err
			}
		}
	}
	if err := c.deleteRecord(name); err != nil {
		return err
	}
	if e.builtIn != nil {
		c.put(name, &entry{builtIn: e.builtIn, allowed: e.allowed})
	} else {
		c.put(name, nil)
	}
	e.own.replace()
	c.removeZips(name, "")
	c.cfg.Log.Info("function deleted", "function", name)
	return nil
}

// Code returns the zip of a function of one's own.
func (c *Catalog) Code(name string) ([]byte, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	e := c.entry(name)
	if e == nil || e.own == nil {
		return nil, fmt.Errorf("code of function %q: %w", name, iot.ErrNotFound)
	}
	return c.readZip(name, e.own.CodeSHA256)
}

// at returns a function as it is, at an expected revision.
func (c *Catalog) at(name, revision string) (iot.Function, error) {
	f, err := c.Function(name)
	if err == nil && revision != "" && revision != f.Revision {
		//lint:ignore ST1005 AWS's sentence
		err = fmt.Errorf("The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve the latest RevisionId for your resource: %w", iot.ErrVersionConflict)
	}
	return f, err
}

// replace puts a new state of a function in force: with archive nil its code
// stays. What was in force ends when its invocations have. The caller holds
// changing.
func (c *Catalog) replace(f iot.Function, archive []byte) (iot.Function, error) {
	old := c.entry(f.Name)
	if err := c.validate(&f); err != nil {
		return f, err
	}
	if archive != nil {
		if err := c.measure(&f, archive); err != nil {
			return f, err
		}
		if err := c.writeZip(f.Name, f.CodeSHA256, archive); err != nil {
			return f, err
		}
	}
	f.Revision, f.Modified, f.BuiltIn = uuid.NewString(), time.Now().UTC(), false
	next := c.newVersion(f)
	_, err := next.open() // its code can be run, before it is promised
	if err == nil {
		err = c.writeRecord(f)
	}
	if err != nil {
		next.replace()
		kept := ""
		if old != nil && old.own != nil {
			kept = old.own.CodeSHA256
		}
		c.removeZips(f.Name, kept)
		return f, err
	}
	c.takeOver(old, next)
	c.removeZips(f.Name, f.CodeSHA256)
	c.cfg.Log.Info("function in force", "function", f.Name, "runtime", f.Runtime, "bytes", f.CodeSize, "revision", f.Revision)
	return f, nil
}

func (c *Catalog) takeOver(old *entry, next *version) {
	e := &entry{own: next}
	if old != nil {
		e.builtIn, e.allowed = old.builtIn, old.allowed
	}
	c.put(next.Name, e)
	if old != nil && old.own != nil {
		old.own.replace()
	}
}

// measure checks a zip's size and notes it with its hash.
func (c *Catalog) measure(f *iot.Function, archive []byte) error {
	if len(archive) > maxZipped {
		return fmt.Errorf("the zip has %d bytes; zipped code must be smaller than %d bytes: %w", len(archive), maxZipped, iot.ErrInvalid)
	}
	total := int64(len(archive))
	for name, e := range *c.current.Load() {
		if e.own != nil && name != f.Name {
			total += e.own.CodeSize
		}
	}
	if total > MaxCode {
		return fmt.Errorf("code storage limit of %d bytes exceeded: delete functions that are not used: %w", int64(MaxCode), iot.ErrLimit)
	}
	sum := sha256.Sum256(archive)
	f.CodeSHA256, f.CodeSize = base64.StdEncoding.EncodeToString(sum[:]), int64(len(archive))
	return nil
}

// reservedBeside is the reserved concurrency of all functions but one.
func (c *Catalog) reservedBeside(name string) int {
	total := 0
	for other, e := range *c.current.Load() {
		if e.own != nil && other != name && e.own.Reserved != nil {
			total += *e.own.Reserved
		}
	}
	return total
}

var runtimes = []string{"provided", "provided.al2", "provided.al2023"} // beside python3.*

func isProvided(runtime string) bool { return slices.Contains(runtimes, runtime) }

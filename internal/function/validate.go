package function

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
)

// Lambda's defaults and limits.
const (
	defaultTimeout   = 3   // seconds
	defaultMemory    = 128 // MB
	defaultEphemeral = 512 // MB

	maxEnvironment = 4 << 10 // bytes of names and values
	maxTags        = 50
	maxZipped      = 50 << 20
	maxUnzipped    = 250 << 20

	// MaxCode bounds the zips of all functions, in bytes (75 GB).
	MaxCode = 75 << 30
	// MaxConcurrency is how many executions an account may reserve in all, but for
	// the last hundred.
	MaxConcurrency = 1000
	minUnreserved  = 100
)

func setDefaults(f *iot.Function) {
	f.Timeout = cmp.Or(f.Timeout, defaultTimeout)
	f.Memory = cmp.Or(f.Memory, defaultMemory)
	f.Ephemeral = cmp.Or(f.Ephemeral, defaultEphemeral)
	f.Architecture = cmp.Or(f.Architecture, hostArchitecture())
}

// validate checks a configuration. The caller holds changing.
func (c *Catalog) validate(f *iot.Function) error {
	if err := checkName(f.Name); err != nil {
		return err
	}
	if err := checkRuntime(f.Runtime); err != nil {
		return err
	}
	if f.Handler == "" {
		//lint:ignore ST1005 AWS's sentence
		return fmt.Errorf("Runtime and Handler are mandatory parameters for functions created with deployment packages: %w", iot.ErrInvalid)
	}
	for _, limit := range []struct {
		what            string
		value, low, top int
	}{
		{"timeout", f.Timeout, 1, 900},
		{"memorySize", f.Memory, 128, 10240},
		{"ephemeralStorage.size", f.Ephemeral, 512, 10240},
		{"tags", len(f.Tags), 0, maxTags},
	} {
		if limit.value < limit.low || limit.value > limit.top {
			return fmt.Errorf("%s is %d; it must be between %d and %d: %w", limit.what, limit.value, limit.low, limit.top, iot.ErrInvalid)
		}
	}
	if f.Architecture != "x86_64" && f.Architecture != "arm64" {
		return fmt.Errorf("architecture %q is neither x86_64 nor arm64: %w", f.Architecture, iot.ErrInvalid)
	}
	if err := c.checkReserved(f); err != nil {
		return err
	}
	return checkEnvironment(f.Environment)
}

func checkName(name string) error {
	other := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, other) {
		return fmt.Errorf("function name %q: a name has 1 to 64 letters, digits, hyphens and underscores: %w", name[:min(len(name), 140)], iot.ErrInvalid)
	}
	return nil
}

func checkRuntime(runtime string) error {
	switch {
	case isProvided(runtime) || strings.HasPrefix(runtime, "python3."):
		return nil
	case runtime == "":
		//lint:ignore ST1005 AWS's sentence
		return fmt.Errorf("Runtime and Handler are mandatory parameters for functions created with deployment packages: %w", iot.ErrInvalid)
	}
	return fmt.Errorf("runtime %s (use provided.al2023 with a bootstrap in the zip, or python3.x): %w by Fieldline", runtime, iot.ErrUnsupported)
}

func (c *Catalog) checkReserved(f *iot.Function) error {
	if f.Reserved == nil {
		return nil
	}
	if *f.Reserved < 0 {
		return fmt.Errorf("reserved concurrency %d is below 0: %w", *f.Reserved, iot.ErrInvalid)
	}
	if MaxConcurrency-minUnreserved-c.reservedBeside(f.Name) < *f.Reserved {
		//lint:ignore ST1005 AWS's sentence
		return fmt.Errorf("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d]: %w", minUnreserved, iot.ErrInvalid)
	}
	return nil
}

// checkEnvironment checks a function's own variables, with AWS's sentences.
func checkEnvironment(vars map[string]string) error {
	const unable = "Lambda was unable to configure your environment variables because the environment variables you have provided"
	var reserved []string
	size := 0
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !isVariable(name) {
			return fmt.Errorf("environment variable %q: a name has two or more letters, digits and underscores and begins with a letter: %w", name[:min(len(name), 140)], iot.ErrInvalid)
		}
		if strings.ContainsRune(vars[name], 0) {
			return fmt.Errorf("environment variable %s has a NUL in its value: %w", name, iot.ErrInvalid)
		}
		if sandbox.Reserved(name) {
			reserved = append(reserved, name)
		}
		size += len(name) + len(vars[name])
	}
	if reserved != nil {
		return fmt.Errorf("%s contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s: %w", unable, strings.Join(reserved, ", "), iot.ErrInvalid)
	}
	if size > maxEnvironment {
		return fmt.Errorf("%s exceeded the 4KB limit. Bytes measured: %d: %w", unable, size, iot.ErrInvalid)
	}
	return nil
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return len(name) >= 2
}

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"regexp"
)

// mosquittoVersion asks the program. Asked for help it exits with a failure.
func mosquittoVersion(ctx context.Context, path string) (string, error) {
	text, err := exec.CommandContext(ctx, path, "-h").CombinedOutput()
	if found := regexp.MustCompile(`version (\S+)`).FindSubmatch(text); found != nil {
		return string(found[1]), nil
	}
	return "", fmt.Errorf("%s -h tells no version (is mosquitto installed?): %v: %s", path, err, bytes.TrimSpace(text))
}

// moduleVersion is the version of a module in a program.
func moduleVersion(program, module string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version, nil
		}
	}
	return "", fmt.Errorf("%s holds no module %s", program, module)
}

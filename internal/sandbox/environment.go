package sandbox

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// environment returns the variables of a process as NAME=value. Nothing of this
// process's own environment is among them.
func environment(cfg *Config, api, stream, temp string) []string {
	vars := map[string]string{
		"HOME":            temp,
		"TMPDIR":          temp,
		"LANG":            "en_US.UTF-8",
		"TZ":              ":UTC",
		"PATH":            "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"LD_LIBRARY_PATH": cfg.Dir + ":" + filepath.Join(cfg.Dir, "lib"),
	}
	for name, value := range cfg.Platform {
		if !Reserved(name) {
			vars[name] = value
		}
	}
	for name, value := range cfg.Environment {
		if !Reserved(name) {
			vars[name] = value
		}
	}
	for name, value := range cfg.Platform {
		if Reserved(name) {
			vars[name] = value
		}
	}
	maps.Copy(vars, map[string]string{
		"_HANDLER":                        cfg.Handler,
		"LAMBDA_TASK_ROOT":                cfg.Dir,
		"LAMBDA_RUNTIME_DIR":              cfg.Dir,
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        cfg.Function,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(cfg.Memory),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + cfg.Function,
		"AWS_LAMBDA_LOG_STREAM_NAME":      stream,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
	})
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

// Reserved reports whether Lambda keeps a variable to itself ("Reserved environment
// variables" of its developer guide).
func Reserved(name string) bool {
	switch name {
	case "_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_EXECUTION_ENV", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN":
		return true
	}
	return strings.HasPrefix(name, "AWS_LAMBDA_")
}

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

// environment is the prefix of the variables that set flags.
const environment = "FIELDLINE_"

// variable is the environment variable of a flag: FIELDLINE_ and its name.
func variable(flag string) string {
	return environment + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settle fills in every flag that the command line left out, from its
// environment variable or else from the YAML file; with path "" there is none.
func settle(flags *pflag.FlagSet, path string) error {
	file, err := readSettings(flags, path)
	if err != nil {
		return wrongUse(err)
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed {
			return
		}
		if value := os.Getenv(variable(f.Name)); value != "" {
			if e := set(f, strings.Split(value, ",")); e != nil {
				err = wrongUse(fmt.Errorf("%s=%s: %w", variable(f.Name), value, e))
			}
		} else if values, ok := file[f.Name]; ok {
			if e := set(f, values); e != nil {
				err = wrongUse(fmt.Errorf("%s: %s: %w", path, f.Name, e))
			}
		}
	})
	return err
}

// set gives a flag its values: all of them if it may be repeated, else one.
func set(f *pflag.Flag, values []string) error {
	f.Changed = true
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	return f.Value.Set(strings.Join(values, ","))
}

// readSettings reads the YAML file: the flags' names as keys, a list where a
// flag may be repeated.
func readSettings(flags *pflag.FlagSet, path string) (map[string][]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("--config %s: %w", path, err)
	}
	settings := make(map[string][]string)
	for key, value := range raw {
		if flags.Lookup(key) == nil || slices.Contains([]string{"config", "help"}, key) {
			return nil, fmt.Errorf("--config %s: unknown setting %q (settings are the flags of fieldline up, without the dashes)", path, key)
		}
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, v := range list {
			settings[key] = append(settings[key], fmt.Sprint(v))
		}
	}
	return settings, nil
}

package iotsql

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The document of the language, and where in README its functions are.
const (
	languageFile = "../../docs/sql.md"
	readmeFile   = "../../README.md"
	readmeBegin  = "<!-- sql functions: written by go test ./internal/iotsql -run Documents -update -->\n"
	readmeEnd    = "<!-- end of sql functions -->\n"
)

// documented is a row of the tables of functions: name, status, version, and the
// example with its value, which may be empty.
var documented = regexp.MustCompile("(?m)^\\| `([a-zA-Z0-9_]+)\\(([^`]*)\\)`[^|]* \\| (yes|refused) \\| (2015|2016) \\|.*?\\|(?: `(.*)` = `(.*)`)? \\|$")

// functionStatus is what the code says of a function, in the words of the document.
func functionStatus(name, args string) (status, since string) {
	if strings.Contains(args, "'proto'") {
		return "refused", "2016"
	}
	if name == "cast" {
		return "yes", "2015"
	}
	if f, ok := lookup(name); ok {
		if f.newer {
			return "yes", "2016"
		}
		return "yes", "2015"
	}
	if unsupported(name) {
		return "refused", ""
	}
	return "unknown", ""
}

// TestDocumentsShowTheFunctions compares docs/sql.md's tables of functions, and the
// summary in README, with the code. With -update it writes their statuses.
func TestDocumentsShowTheFunctions(t *testing.T) {
	text, err := os.ReadFile(languageFile)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	current := documented.ReplaceAllStringFunc(string(text), func(row string) string {
		m := documented.FindStringSubmatch(row)
		seen = append(seen, strings.ToLower(m[1]))
		status, since := functionStatus(m[1], m[2])
		if since == "" {
			since = m[4]
		}
		return strings.Replace(row, "| "+m[3]+" | "+m[4]+" |", "| "+status+" | "+since+" |", 1)
	})
	for _, table := range functionTables() {
		for _, f := range table {
			if !slices.Contains(seen, f.name) {
				t.Errorf("%s has no row for %s", languageFile, f.name)
			}
		}
	}
	for _, name := range append(refusedFunctions(), "cast") {
		if !slices.Contains(seen, name) {
			t.Errorf("%s has no row for %s", languageFile, name)
		}
	}
	checkDocument(t, languageFile, current)

	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(readme), readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines %s and %s", readmeFile, readmeBegin, readmeEnd)
	}
	checkDocument(t, readmeFile, before+readmeBegin+functionSummary(current)+readmeEnd+after)
}

// checkDocument compares a document with what it should be, or writes it.
func checkDocument(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		t.Errorf("%s is stale (%v): go test ./internal/iotsql -run Documents -update", path, err)
	}
}

// functionSummary is README's table: the groups of the document, and what of them is
// refused.
func functionSummary(document string) string {
	var b strings.Builder
	b.WriteString("| functions | here | refused by name |\n|---|---|---|\n")
	_, functions, _ := strings.Cut(document, "\n## Functions\n")
	functions, _, _ = strings.Cut(functions, "\n## ")
	for _, section := range strings.Split(functions, "\n### ")[1:] {
		title, rows, _ := strings.Cut(section, "\n")
		names := map[string][]string{}
		for _, m := range documented.FindAllStringSubmatch(rows, -1) {
			name := m[1]
			if strings.Contains(m[2], "'proto'") {
				name += " of protobuf"
			}
			names[m[3]] = append(names[m[3]], name)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", title, strings.Join(names["yes"], " "), strings.Join(names["refused"], ", "))
	}
	return b.String()
}

// TestDocumentedExamples evaluates the examples of the document.
func TestDocumentedExamples(t *testing.T) {
	text, err := os.ReadFile(languageFile)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
		if m[5] == "" || m[3] == "refused" {
			continue
		}
		n++
		if got := selectValue(t, m[5], "2016-03-23", "{}"); got != m[6] {
			t.Errorf("%s is %s, and in %s it is %s", m[5], got, languageFile, m[6])
		}
	}
	if n < 60 {
		t.Errorf("only %d examples were found in %s", n, languageFile)
	}
}

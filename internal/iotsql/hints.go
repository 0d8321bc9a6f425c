package iotsql

import (
	"fmt"
	"strings"
	"unicode"
)

// describe names the token in an error message and, where it is known from another
// language, says what is written here.
func (t token) describe() string {
	const longest = 40
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenText:
		if len(t.text) > longest || strings.ContainsFunc(t.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return "a string"
		}
		return "the string " + quote(t.text)
	}
	if len(t.text) > longest {
		return fmt.Sprintf("%.*q…", longest, t.text)
	}
	if h := hint(t); h != "" {
		return fmt.Sprintf("%q (%s)", t.text, h)
	}
	return fmt.Sprintf("%q", t.text)
}

// hint is what to write instead of a token that no rule takes.
func hint(t token) string {
	switch strings.ToUpper(t.text) {
	case "&":
		return "write AND"
	case "|":
		return "write OR"
	case "!":
		return "write NOT"
	case "–", "—", "−":
		return "write -"
	case "“", "”", "‘", "’", "„":
		return "write ' or \" for a string"
	case "`":
		return "names are not quoted: write get(*, 'name')"
	case ";":
		return "statements have no end mark"
	case "$":
		return "variables begin with @"
	case "GROUP", "ORDER", "HAVING", "LIMIT", "JOIN", "UNION":
		return "there is no such clause"
	}
	return ""
}

// similar is a function whose name begins with, or nearly is, the given one; "" when
// there is none.
func similar(name string) string {
	name = strings.ToLower(name)
	best, least := "", 1+len(name)/3
	for _, table := range functionTables() {
		for _, f := range table {
			if len(name) > 2 && strings.HasPrefix(f.name, name) {
				return f.name
			}
			if d := distance(f.name, name); d < least {
				best, least = f.name, d
			}
		}
	}
	return best
}

// distance counts the letters to add, drop or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

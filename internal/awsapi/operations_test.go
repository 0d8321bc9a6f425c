package awsapi

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The documents that show the compatibility table, and where in README it is.
const (
	operationsFile = "../../docs/aws-operations.md"
	readmeFile     = "../../README.md"
	readmeBegin    = "<!-- operations: written by go test ./internal/awsapi -run Documents -update -->\n"
	readmeEnd      = "<!-- end of operations -->\n"
)

func TestSupportedOperationsAreAWSs(t *testing.T) {
	for _, s := range Operations() {
		names := namesOf(s.Name)
		for _, op := range s.Operations {
			if op.Supported && !slices.Contains(names, op.Name) {
				t.Errorf("AWS's model of %s has no %s", s.Title, op.Name)
			}
		}
	}
}

func TestDocumentsShowTheOperations(t *testing.T) {
	checkDocument(t, operationsFile, operationsDocument())
	text, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines %s and %s", readmeFile, readmeBegin, readmeEnd)
	}
	checkDocument(t, readmeFile, before+readmeBegin+operationsSummary()+readmeEnd+after)
}

// checkDocument compares a document with what the code says, or writes it.
func checkDocument(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		t.Errorf("%s is stale (%v): go test ./internal/awsapi -run Documents -update", path, err)
	}
}

// operationsOf returns the operations of a service that are supported, or those that
// are not.
func operationsOf(s ServiceSupport, supported bool) (names []string) {
	for _, op := range s.Operations {
		if op.Supported == supported {
			names = append(names, op.Name)
		}
	}
	return names
}

func operationsSummary() string {
	var b strings.Builder
	b.WriteString("| AWS service | operations here | of AWS's |\n|---|---|---|\n")
	for _, s := range Operations() {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", s.Title, len(operationsOf(s, true)), len(s.Operations))
	}
	return b.String()
}

func operationsDocument() string {
	var b strings.Builder
	b.WriteString("# AWS operations\n\nWritten from the code by `go test ./internal/awsapi -run Documents -update`. What is\n" +
		"refused answers `UnsupportedOperationException` with the operation's name. A member of\na supported operation that would change what it does, and that Fieldline does not take,\nis refused by its name too.\n")
	for _, s := range Operations() {
		supported, refused := operationsOf(s, true), operationsOf(s, false)
		fmt.Fprintf(&b, "\n## %s\n\n%d of %d operations.\n\n%s\n", s.Title, len(supported), len(s.Operations), paragraph("Supported", supported))
		if len(refused) > 0 {
			b.WriteString("\n" + paragraph("Refused", refused) + "\n")
		}
	}
	return b.String()
}

// paragraph lists names behind a bold heading, in lines of about 90 characters.
func paragraph(heading string, names []string) string {
	text, width := "**"+heading+"**:", len(heading)+5
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if width += 1 + len(name); width > 90 {
			text, width = text+"\n"+name, len(name)
		} else {
			text += " " + name
		}
	}
	return text
}

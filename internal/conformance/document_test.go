package conformance

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/mqtt-conformance.md anew")

const document = "../../docs/mqtt-conformance.md"

// statement is a normative statement of the standard.
type statement struct {
	id     string
	binds  string // "broker" or "client"
	clause string
}

// statements reads the list of them.
func statements(t *testing.T) []statement {
	t.Helper()
	text, err := os.ReadFile("testdata/statements.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []statement
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "\t")
		if len(parts) != 3 || identifier.FindString(parts[0]) != parts[0] || parts[1] != "broker" && parts[1] != "client" {
			t.Fatalf("statements.txt: %q is not an identifier, broker or client, and a clause", line)
		}
		all = append(all, statement{parts[0], parts[1], parts[2]})
	}
	return all
}

var identifier = regexp.MustCompile(`MQTT(311)?-\d+(\.\d+)*-\d+`)

// citations returns which test functions of this package name which statements
// in their string literals.
func citations(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string][]string)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				for id := range cited(f) {
					tests[id] = append(tests[id], f.Name.Name)
				}
			}
		}
	}
	for _, names := range tests {
		slices.Sort(names)
	}
	return tests
}

// cited returns the identifiers in the strings of a function.
func cited(f *ast.FuncDecl) map[string]bool {
	ids := make(map[string]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				for _, id := range identifier.FindAllString(text, -1) {
					ids[id] = true
				}
			}
		}
		return true
	})
	return ids
}

func TestEveryBrokerStatementHasATest(t *testing.T) {
	known, tests := make(map[string]bool), citations(t)
	for _, s := range statements(t) {
		if known[s.id] {
			t.Errorf("%s is listed twice", s.id)
		}
		known[s.id] = true
		if s.binds == "broker" && len(tests[s.id]) == 0 {
			t.Errorf("no test shows %s: %s", s.id, s.clause)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tests)) {
		if !known[id] {
			t.Errorf("%v show %s, which is no statement", tests[id], id)
		}
	}
	if n := len(known); n < 251 {
		t.Errorf("only %d statements are listed; MQTT 5.0 alone has 251", n)
	}
}

func TestDocument(t *testing.T) {
	want := render(statements(t), citations(t))
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/mqtt-conformance.md is not what the tests say: run go test ./internal/conformance -run TestDocument -update")
	}
}

const preface = `# MQTT conformance

Each normative statement of MQTT 5.0, and those of 3.1.1 that 5.0 says otherwise or
no longer has, with the test that shows it. The tests are in
` + "`internal/conformance`" + `, which comes in over a socket, packet by packet; this
document is written from them, and a test fails when a statement that binds a broker
has none.

The packet codec is also compared with Eclipse Paho's, on random packets and on
changed ones: ` + "`internal/mqtt/differential_test.go`" + ` (3.1.1) and
` + "`compat/differential_test.go`" + ` (5.0).

The middle column is our summary of what is tested, not the standard's wording. Where
the standard leaves the choice to the server:

| | Fieldline |
|---|---|
| overlapping subscriptions | one copy, at the highest QoS granted, with all subscription identifiers |
| extended authentication | refused with 0x8C; no AUTH is ever sent |
| an unsupported protocol version | CONNACK 0x84, in 3.1.1 and below 0x01 |
| QoS 2, retained messages, shared subscriptions | supported in both versions |
| a publish that a policy denies | 0x87 in MQTT 5; the connection ends in 3.1.1 |
`

// render writes the document.
func render(all []statement, tests map[string][]string) string {
	var doc strings.Builder
	doc.WriteString(preface)
	var broker, client int
	for _, s := range all {
		if s.binds == "broker" {
			broker++
		} else {
			client++
		}
	}
	fmt.Fprintf(&doc, "\n%d statements bind a broker, %d a client alone.\n", broker, client)
	section := ""
	for _, s := range all {
		if of := sectionOf(s.id); of != section {
			section = of
			fmt.Fprintf(&doc, "\n## %s\n\n| statement | | test |\n|---|---|---|\n", of)
		}
		shown := "binds the client"
		switch names := tests[s.id]; {
		case len(names) > 0:
			shown = "`" + strings.Join(names, "`, `") + "`"
		case s.binds == "broker":
			shown = "**none**"
		}
		fmt.Fprintf(&doc, "| %s | %s | %s |\n", s.id, s.clause, shown)
	}
	return doc.String()
}

// sectionOf names the part of the document that a statement is in.
func sectionOf(id string) string {
	if strings.HasPrefix(id, "MQTT311-") {
		return "MQTT 3.1.1"
	}
	chapters := map[string]string{
		"1.": "Data (§1)", "2.": "Packet format (§2)", "4.": "Behaviour (§4)", "6.": "WebSocket (§6)",
		"3.1.": "CONNECT (§3.1)", "3.2.": "CONNACK (§3.2)", "3.3.": "PUBLISH (§3.3)", "3.4.": "PUBACK (§3.4)", "3.5.": "PUBREC (§3.5)",
		"3.6.": "PUBREL (§3.6)", "3.7.": "PUBCOMP (§3.7)", "3.8.": "SUBSCRIBE (§3.8)", "3.9.": "SUBACK (§3.9)",
		"3.10.": "UNSUBSCRIBE (§3.10)", "3.11.": "UNSUBACK (§3.11)", "3.12.": "PINGREQ (§3.12)", "3.14.": "DISCONNECT (§3.14)", "3.15.": "AUTH (§3.15)",
	}
	number := strings.TrimPrefix(id, "MQTT-")
	for prefix, name := range chapters {
		if strings.HasPrefix(number, prefix) {
			return name
		}
	}
	return number
}

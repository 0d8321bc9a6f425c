package fieldline

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fieldline-iot/fieldline/"

// layers is the import table, lowest first: a package imports only packages of
// lower layers. ARCHITECTURE.md shows the same table.
var layers = [][]string{
	{"internal/iot", "internal/topic", "internal/javaregexp", "internal/javatime"},
	{"internal/mqtt", "internal/policy", "internal/iotsql", "internal/sigv4", "internal/telemetry", "internal/ddb", "internal/sandbox"},
	{
		"internal/store", "internal/dynamo", "internal/apigw", "internal/ca", "internal/broker", "internal/ingest", "internal/rule",
		"internal/outbox", "internal/target", "internal/workbench",
		"internal/push", "internal/httpapi", "internal/awsapi", "internal/tables", "internal/logs", "internal/apis", "internal/roles",
		"internal/function", "internal/auth", "web",
	},
	{"internal/server", "internal/cloud"},
	{
		"internal/servertest", "internal/conformance", "cmd/fieldline", "cmd/lambda/process_iot", "cmd/lambda/on_connect", "cmd/lambda/on_disconnect",
		"cmd/lambda/fetch_iot", "cmd/lambda/authorize", "deploy/aws/zip",
	},
}

// The budgets of one file and one function, in lines.
const (
	maxFileLines     = 600
	maxFunctionLines = 80
	maxMethods       = 5 // of an interface
	maxDirectDeps    = 15
)

// source is one parsed Go file of the product.
type source struct {
	path string // slash-separated, from the root
	file *ast.File
	set  *token.FileSet
}

func (s source) pkg() string { return filepath.ToSlash(filepath.Dir(s.path)) }

func (s source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", "bench", "compat", "testdata", "bin"}, d.Name()) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(path), file, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found only %d Go files: the walk is wrong", len(all))
	}
	return all
}

func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, pkg) })
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg() == "." {
			continue
		}
		from := layerOf(s.pkg())
		if from < 0 {
			t.Errorf("%s: package %s is in no layer", s.path, s.pkg())
			continue
		}
		for _, spec := range s.file.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if !ours {
				continue
			}
			if to := layerOf(imported); to < 0 || to >= from {
				t.Errorf("%s imports %s, which is not below it", s.path, imported)
			}
		}
	}
}

// The engine of regular expressions is the one library that the lowest layer may use.
func TestVocabularyImportsOnlyTheStandardLibrary(t *testing.T) {
	const engine = `"github.com/dlclark/regexp2/v2"`
	for _, s := range sources(t) {
		if !slices.Contains(layers[0], s.pkg()) {
			continue
		}
		for _, spec := range s.file.Imports {
			allowed := s.pkg() == "internal/javaregexp" && spec.Path.Value == engine
			if strings.Contains(strings.Trim(spec.Path.Value, `"`), ".") && !allowed {
				t.Errorf("%s imports %s", s.path, spec.Path.Value)
			}
		}
	}
}

func TestArchitectureDocumentShowsTheTable(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range layers {
		names := make([]string, len(layer))
		for j, pkg := range layer {
			names[j] = strings.TrimPrefix(pkg, "internal/")
		}
		if row := string(rune('0'+i)) + "  " + strings.Join(names, " "); !strings.Contains(string(text), row+"\n") {
			t.Errorf("ARCHITECTURE.md lacks the row %q", row)
		}
	}
}

// The guide's document says which test shows each step: those tests must exist.
func TestGuideDocumentNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 5 {
		t.Fatalf("the document names only %d tests", len(named))
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		tests.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "func "+name[1]+"(t *testing.T)") {
			t.Errorf("docs/guide.md names %s, which does not exist", name[1])
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := make(map[string]bool)
	for _, s := range sources(t) {
		documented[s.pkg()] = documented[s.pkg()] || s.file.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

func TestBudgets(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.lines(s.file); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", s.path, n, maxFileLines)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := s.lines(n); lines > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, at most %d", s.path, n.Name.Name, lines, maxFunctionLines)
				}
			case *ast.InterfaceType:
				if n.Methods.NumFields() > maxMethods {
					t.Errorf("%s:%d: an interface with %d methods, at most %d", s.path, s.set.Position(n.Pos()).Line, n.Methods.NumFields(), maxMethods)
				}
			}
			return true
		})
	}
}

func TestNoGlobalState(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", s.path)
			}
		}
		if s.file.Name.Name == "main" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := call.X.(*ast.Ident); ok && (x.Name == "os" && call.Sel.Name == "Exit" || x.Name == "log" && strings.HasPrefix(call.Sel.Name, "Fatal")) {
				t.Errorf("%s:%d ends the process", s.path, s.set.Position(call.Pos()).Line)
			}
			return true
		})
	}
}

func TestDirectDependencies(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "\t") && !strings.Contains(line, "// indirect") {
			direct[project(strings.Fields(line)[0])] = true
		}
	}
	if len(direct) == 0 || len(direct) > maxDirectDeps {
		t.Errorf("%d direct dependencies, at most %d: %v", len(direct), maxDirectDeps, slices.Sorted(maps.Keys(direct)))
	}
}

// project is the project that a module belongs to: some are split into many.
func project(module string) string {
	for _, split := range []string{"golang.org/x", "github.com/aws/aws-sdk-go-v2"} {
		if strings.HasPrefix(module, split+"/") {
			return split
		}
	}
	return module
}

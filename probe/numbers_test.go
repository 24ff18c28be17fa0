package probe_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/docpage"
)

// numbered are the types whose constants are written as numbers, with what the constant of
// a number is called.
var numbered = map[string]func(uint8) string{
	"Checkpoint": func(n uint8) string { return probe.Checkpoint(n).String() },
	"Reason":     func(n uint8) string { return probe.Reason(n).String() },
	"Seam":       func(n uint8) string { return probe.Seam(n).String() },
}

// constantsOf are the constants of those types that the source declares, by name.
func constantsOf(t *testing.T) (found []constant) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, isType := spec.Type.(*ast.Ident)
			value, isLiteral := spec.Values[0].(*ast.BasicLit)
			if isType && isLiteral && numbered[typ.Name] != nil {
				number, err := strconv.ParseUint(value.Value, 0, 8)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, constant{typ.Name, spec.Names[0].Name, uint8(number)})
			}
			return true
		})
	}
	return found
}

type constant struct {
	typ, name string
	number    uint8
}

// Each constant that is written as a number has a row with a name, keeps its number for
// ever, and is used by something. testdata/numbers lists them: lines are added, and none is
// changed.
func TestNumbers(t *testing.T) {
	constants := constantsOf(t)
	if len(constants) < 50 {
		t.Fatalf("only %d constants were found", len(constants))
	}
	var lines []string
	for _, c := range constants {
		name := numbered[c.typ](c.number)
		if c.number != 0 && (name == "" || strings.HasPrefix(name, "unknown(")) {
			t.Errorf("%s %s = %d has no row in the table below it", c.typ, c.name, c.number)
		}
		if r := probe.Reason(c.number); c.typ == "Reason" && c.number != 0 && r.Meaning() == "" {
			t.Errorf("reason %s has no meaning", c.name)
		}
		if c.number != 0 {
			lines = append(lines, fmt.Sprintf("%s %d %s", c.typ, c.number, name))
		}
	}
	slices.Sort(lines)
	const pinned = "testdata/numbers"
	if docpage.Updating() {
		if err := os.WriteFile(pinned, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(pinned)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range was {
		if !slices.Contains(lines, line) {
			t.Errorf("%s has been written: its number and name must stay", line)
		}
	}
	for _, line := range lines {
		if !slices.Contains(was, line) {
			t.Errorf("%s is new: go test ./probe -run TestNumbers -update", line)
		}
	}
}

// A reason or a checkpoint that nothing names but its declaration is recorded by nothing.
func TestNumbersAreUsed(t *testing.T) {
	var source strings.Builder
	declared := []string{"../probe/reason.go", "../probe/checkpoint.go", "../probe/names.go"}
	for _, dir := range []string{"../tunnel", "../probe", "../node"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") ||
				slices.Contains(declared, filepath.ToSlash(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range constantsOf(t) {
		if c.number == 0 || !ast.IsExported(c.name) {
			continue
		}
		if !regexp.MustCompile(`\b` + c.name + `\b`).MatchString(source.String()) {
			t.Errorf("%s %s: nothing names it: where is it recorded?", c.typ, c.name)
		}
	}
}

package diagnose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Whether a verdict is certain follows from its evidence, in one place: nothing else of
// the program sets it.
func TestCertainIsSetInOnePlace(t *testing.T) {
	fset := token.NewFileSet()
	var places []string
	set := func(n ast.Node) { places = append(places, fset.Position(n.Pos()).String()) }
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if is(n.Type, "Verdict") {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && is(kv.Key, "Certain") {
							set(kv)
						}
					}
				}
			case *ast.AssignStmt:
				for _, l := range n.Lhs {
					if is(l, "Certain") {
						set(l)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(places) != 1 || !strings.Contains(places[0], "report.go") {
		t.Errorf("Certain is set at %q, want Verdict.Weigh alone", places)
	}
}

// is reports whether an expression names something so.
func is(e ast.Expr, name string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == name
	case *ast.SelectorExpr:
		return e.Sel.Name == name
	}
	return false
}

package seam

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The device's log is understood by its format strings. One that an upgrade of
// the module changes would be missed in silence.
func TestLogFormatsAreTheDevices(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.zx2c4.com/wireguard").Output()
	if err != nil {
		t.Fatalf("find the module's source: %v", err)
	}
	said := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "device", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			eachString(t, f, func(_, s string) { said[s] = true })
		}
	}
	ours := 0
	eachString(t, "log.go", func(name, s string) {
		if strings.HasPrefix(name, "log") {
			ours++
			if !said[s] {
				t.Errorf("%s: the device no longer says %q", name, s)
			}
		}
	})
	if ours < 10 {
		t.Errorf("only %d formats found in log.go", ours)
	}
}

// eachString calls f for each string literal in a Go file, and with the name
// of the constant that it is the value of, if any.
func eachString(t *testing.T, path string, f func(name, s string)) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[ast.Expr]string)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, v := range n.Values {
				names[v] = n.Names[i].Name
			}
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				f(names[n], s)
			}
		}
		return true
	})
}

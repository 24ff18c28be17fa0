package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/wgnode/wgnode"
	root   = "../../.." // the top of the repository, from here
)

// source is every Go file of this module, whatever platform and build tags it is for.
type source struct {
	fset  *token.FileSet
	files []*file
}

// file is one Go file.
type file struct {
	path string // from the top of the repository, with slashes
	ast  *ast.File
	text []byte
}

// room is the package that a file is in, as ARCHITECTURE.md names it.
func (f *file) room() string { return path.Dir(f.path) }

func (f *file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// imports are the import paths of a file.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		paths = append(paths, path)
	}
	return paths
}

var parse = sync.OnceValues(func() (*source, error) {
	s := &source{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && !belongs(name, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		f := &file{}
		if f.text, err = os.ReadFile(name); err != nil {
			return err
		}
		if f.ast, err = parser.ParseFile(s.fset, name, f.text, parser.SkipObjectResolution); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		f.path = filepath.ToSlash(rel)
		s.files = append(s.files, f)
		return err
	})
	return s, err
})

// belongs reports whether a folder has packages of this module. testdata has
// programs that tests compile.
func belongs(folder, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" {
		return false
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err != nil // another module has one
}

// theSource parses the module, once for all tests.
func theSource(t *testing.T) *source {
	t.Helper()
	s, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rooms are the packages that are there, sorted.
func (s *source) rooms() []string {
	var rooms []string
	for _, f := range s.files {
		rooms = append(rooms, f.room())
	}
	slices.Sort(rooms)
	return slices.Compact(rooms)
}

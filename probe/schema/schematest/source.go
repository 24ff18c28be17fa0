package schematest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

const module = "github.com/wgnode/wgnode"

// root returns the top of the repository, above the folder that a test runs in.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("there is no go.mod above this folder")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// source reads what reflection does not know: comments and constants.
type source struct {
	packages map[string][]*ast.File // by import path
}

// files parses the package of a type.
func (s *source) files(t reflect.Type) ([]*ast.File, error) {
	path := t.PkgPath()
	if files, ok := s.packages[path]; ok {
		return files, nil
	}
	top, err := root()
	if err != nil {
		return nil, err
	}
	dir, ok := strings.CutPrefix(path, module)
	if !ok && path != "main" { // a test of a command
		return nil, fmt.Errorf("%s is not of this module", t)
	}
	folder := filepath.Join(top, dir)
	if !ok {
		folder = "."
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if s.packages == nil {
		s.packages = make(map[string][]*ast.File)
	}
	s.packages[path] = files
	return files, nil
}

// comments returns the comment of a type, and those of a struct's fields: "Field", and
// "Field.Field" of structs without a name.
func (s *source) comments(t reflect.Type) (doc string, fields map[string]string, err error) {
	files, err := s.files(t)
	if err != nil {
		return "", nil, err
	}
	fields = make(map[string]string)
	for _, f := range files {
		for _, decl := range f.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				spec := spec.(*ast.TypeSpec)
				if spec.Name.Name != t.Name() {
					continue
				}
				doc = text(spec.Doc)
				if !g.Lparen.IsValid() {
					doc = text(g.Doc)
				}
				if st, ok := spec.Type.(*ast.StructType); ok {
					addFields(fields, "", st)
				}
			}
		}
	}
	return doc, fields, nil
}

func addFields(fields map[string]string, prefix string, st *ast.StructType) {
	for _, f := range st.Fields.List {
		comment := text(f.Doc)
		if comment == "" {
			comment = text(f.Comment)
		}
		for _, name := range f.Names {
			if comment != "" {
				fields[prefix+name.Name] = comment
			}
			if inner, ok := f.Type.(*ast.StructType); ok {
				addFields(fields, prefix+name.Name+".", inner)
			}
		}
	}
}

// text is a comment in one line, without the brackets of links.
func text(c *ast.CommentGroup) string {
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(strings.Fields(c.Text()), " "))
}

// constants returns the values of the constants of a string type, in the order of the
// source.
func (s *source) constants(t reflect.Type) (values []any, err error) {
	files, err := s.files(t)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, decl := range f.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				spec := spec.(*ast.ValueSpec)
				if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != t.Name() {
					continue
				}
				for _, v := range spec.Values {
					lit, ok := v.(*ast.BasicLit)
					if !ok {
						return nil, fmt.Errorf("a constant of type %s is not a literal", t)
					}
					value, err := strconv.Unquote(lit.Value)
					if err != nil {
						return nil, err
					}
					values = append(values, value)
				}
			}
		}
	}
	return values, nil
}

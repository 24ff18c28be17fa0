package archtest

import (
	"bytes"
	"flag"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateAPI = flag.Bool("update", false, "write testdata/api.txt")

// embedded are the packages that a program with a node inside uses. What they export is kept, see
// docs/embedding.md.
var embedded = []string{"node", "node/config", "probe", "probe/eventtext", "probe/filter", "probe/key", "probe/merge", "probe/recording",
	"tunnel", "tunnel/netstack"}

// What those packages export is what testdata/api.txt has: whoever changes it says so. A line that
// goes, or changes, breaks programs, and the changelog tells of it; a line that comes does not.
func TestAPI(t *testing.T) {
	s := theSource(t)
	var lines []string
	for _, f := range s.files {
		if f.test() || !slices.Contains(embedded, f.room()) {
			continue
		}
		for _, line := range exported(s.fset, f.ast) {
			lines = append(lines, f.room()+": "+line)
		}
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n" // a declaration for each of several systems is one
	for _, room := range embedded {
		if !strings.Contains(got, "\n"+room+": ") && !strings.HasPrefix(got, room+": ") {
			t.Errorf("%s exports nothing", room)
		}
	}
	const golden = "testdata/api.txt"
	if *updateAPI {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the exported API is another one. If that is meant: go test ./cmd/internal/archtest -run TestAPI -update\n%s", diff)
	}
}

// exported are the declarations of a file that others can use, each a line.
func exported(fset *token.FileSet, f *ast.File) (lines []string) {
	text := func(n any) string {
		var b bytes.Buffer
		if err := printer.Fprint(&b, fset, n); err != nil {
			panic(err) // the parser has made it
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			receiver := ""
			if d.Recv != nil {
				of := text(d.Recv.List[0].Type)
				if !ast.IsExported(strings.TrimPrefix(of, "*")) {
					continue
				}
				receiver = "(" + of + ") "
			}
			if d.Name.IsExported() {
				lines = append(lines, "func "+receiver+d.Name.Name+strings.TrimPrefix(text(d.Type), "func"))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() {
						lines = append(lines, ofType(text, spec)...)
					}
				case *ast.ValueSpec:
					lines = append(lines, ofValue(text, d.Tok, spec)...)
				}
			}
		}
	}
	return lines
}

// ofType are the type and each field or method of it that others can use.
func ofType(text func(any) string, spec *ast.TypeSpec) (lines []string) {
	name := spec.Name.Name
	members := func(kind string, list *ast.FieldList) {
		lines = append(lines, "type "+name+" "+kind)
		for _, m := range list.List {
			of := " " + text(m.Type)
			if kind == "interface" {
				of = strings.TrimPrefix(of, " func")
			}
			for _, id := range m.Names {
				if id.IsExported() {
					lines = append(lines, "type "+name+" "+kind+", "+id.Name+of)
				}
			}
			if t := text(m.Type); len(m.Names) == 0 && ast.IsExported(t[strings.LastIndexAny(t, ".*")+1:]) {
				lines = append(lines, "type "+name+" "+kind+", "+text(m.Type))
			}
		}
	}
	switch of := spec.Type.(type) {
	case *ast.StructType:
		members("struct", of.Fields)
	case *ast.InterfaceType:
		members("interface", of.Methods)
	default:
		alias := ""
		if spec.Assign.IsValid() {
			alias = "= "
		}
		lines = append(lines, "type "+name+" "+alias+text(spec.Type))
	}
	return lines
}

// ofValue are constants or variables, with their types where these are written. Values are held by
// tests of their own, as far as they are written to files.
func ofValue(text func(any) string, tok token.Token, spec *ast.ValueSpec) (lines []string) {
	of := ""
	if spec.Type != nil {
		of = " " + text(spec.Type)
	}
	for _, id := range spec.Names {
		if id.IsExported() {
			lines = append(lines, tok.String()+" "+id.Name+of)
		}
	}
	return lines
}

package observe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/evidence"
)

// parsed are the files of this package without tests.
func parsed(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// Every function newX() Source is in the list of registered sources: one that is not would
// be heard by nothing.
func TestSourcesAreRegistered(t *testing.T) {
	known := make(map[string]bool)
	for _, f := range registered {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		known[name[strings.LastIndex(name, ".")+1:]] = true
	}
	for _, file := range parsed(t) {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || len(fn.Type.Params.List) > 0 || fn.Type.Results == nil || !strings.HasPrefix(fn.Name.Name, "new") {
				continue
			}
			if result, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "Source" && !known[fn.Name.Name] {
				t.Errorf("%s is not in registered (host.go)", fn.Name.Name)
			}
		}
	}
}

// ofPolicies are the fields of an Observation that each policy takes into account by itself.
var ofPolicies = regexp.MustCompile(`^(Events|Packet|Outcome|Dropped|Initiation|mark)$`)

// Every other field of an Observation gets into the evidence of the session, and has a field
// there: a policy need not know it.
func TestObservationsAreHandedOn(t *testing.T) {
	var body *ast.FuncDecl
	for _, file := range parsed(t) {
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name == "hand" {
				body = fn
			}
		}
	}
	if body == nil {
		t.Fatal("Session.hand is not there")
	}
	used := make(map[string]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "o" {
				used[s.Sel.Name] = true
			}
		}
		return true
	})
	kernel := reflect.TypeFor[evidence.KernelEvidence]()
	for f := range reflect.TypeFor[Observation]().Fields() {
		if ofPolicies.MatchString(f.Name) {
			continue
		}
		if !used[f.Name] {
			t.Errorf("Session.hand (session.go) does nothing with Observation.%s", f.Name)
		}
		if _, ok := kernel.FieldByName(f.Name); !ok && f.Name != "Unseen" { // which is among the limits
			t.Errorf("evidence.KernelEvidence has no field %s", f.Name)
		}
	}
}

package diagnose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// constants are the codes that codes.go names.
func constants(t *testing.T) []Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, Code(value))
		}
		return true
	})
	return codes
}

// Every code is declared, once: else its class would be "network" without anyone having
// said so, and there would be nothing to read about it.
func TestEveryCodeIsDeclared(t *testing.T) {
	declared := make(map[Code]int)
	for _, c := range Codes() {
		declared[c]++
	}
	codes := constants(t)
	if len(codes) < 50 || len(declared) != len(codes) {
		t.Errorf("%d constants, %d declared", len(codes), len(declared))
	}
	for _, c := range codes {
		if declared[c] != 1 {
			t.Errorf("%s is declared %d times", c, declared[c])
		}
	}
}

// Every code says what it means, what it looks like, what looks like it and how to mend
// it.
func TestEveryCodeIsDocumented(t *testing.T) {
	known := make(map[string]bool)
	for _, c := range Codes() {
		known[string(c)] = true
	}
	see := regexp.MustCompile(`: ([a-z]+(?:-[a-z]+)+)\.|see ([a-z]+(?:-[a-z]+)+)`)
	for _, c := range Codes() {
		doc, ok := c.Doc()
		if !ok || doc.Title == "" || doc.Meaning == "" || doc.Wire == "" || doc.Mend == "" || len(doc.Alike) == 0 {
			t.Errorf("%s lacks a text: %+v", c, doc)
		}
		if strings.HasSuffix(doc.Title, ".") || len(doc.Title) > 79 {
			t.Errorf("%s: title %q", c, doc.Title)
		}
		for _, text := range []string{doc.Meaning, doc.Wire, doc.Mend} {
			if strings.Contains(text, "\t") || strings.Contains(text, " \n") || strings.HasSuffix(text, "\n") {
				t.Errorf("%s: spaces in %q", c, text)
			}
			for _, m := range see.FindAllStringSubmatch(text, -1) {
				if name := m[1] + m[2]; !known[name] {
					t.Errorf("%s points to %q, which is not a code", c, name)
				}
			}
		}
		for _, other := range doc.Alike {
			if !known[string(other.Code)] || other.Code == c || other.Check == "" {
				t.Errorf("%s looks like %q: %q", c, other.Code, other.Check)
			}
		}
	}
}

func TestUnwrap(t *testing.T) {
	const text = "One\ntwo.\n\nThree:\n  a command\n  another\nFour\nfive."
	const want = "One two.\n\nThree:\n  a command\n  another\nFour five."
	if got := unwrap(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

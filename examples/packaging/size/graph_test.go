package main

import "testing"

func TestPackageOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"net/http.(*Server).Serve":                        "net/http",
		"github.com/gdamore/tcell/v2.NewScreen":           "github.com/gdamore/tcell/v2",
		"go.yaml.in/yaml/v3.(*Decoder).Decode":            "go.yaml.in/yaml/v3",
		"gopkg.in/yaml%2ev3.Marshal":                      "gopkg.in/yaml.v3",
		"type:.eq.github.com/cilium/ebpf/btf.Member":      "github.com/cilium/ebpf/btf",
		"type:*crypto/tls.Conn":                           "crypto/tls",
		"go:itab.*github.com/a/b.T,io.Reader":             "github.com/a/b",
		"slices.SortFunc[go.shape.[]github.com/a/b.T]":    "slices",
		"type:func(github.com/a/b.T) error":               "",
		"go:string.\"a/b.c\"":                             "go:string",
		"_rt0_amd64_linux":                                "",
		"vendor/golang.org/x/net/idna.(*Profile).process": "vendor/golang.org/x/net/idna",
	} {
		if got := packageOf(symbol); got != want {
			t.Errorf("%s is of %q, want %q", symbol, got, want)
		}
	}
}

// TestReached leaves out a package, what only it keeps, and what only it imports.
func TestReached(t *testing.T) {
	const dump = `_rt0 -> main.main
main.main -> a.F <ReflectMethod>
main.main -> b.F
a.F <ReflectMethod> -> c.F
b.F -> d.F
main.tasks -> c.init
main.tasks -> d.init
`
	g := &graph{edges: readEdges([]byte(dump)), sizes: readSizes([]byte(
		" 1 1 T main.main\n 2 10 T a.F\n 3 100 t c.F\n 4 1000 R c.init\n 5 10000 T b.F\n 6 100000 T d.F\n 7 1000000 B d.zero\n",
	))}
	g.readPackages([]byte(mainPackage + "  a b\na example.com/a c\nb  d c/x\nc  \nd  \n"))
	if got := g.reached(nil); got != 111111 {
		t.Errorf("all of it is %d", got)
	}
	if got := g.reached(g.modules["example.com/a"]); got != 110001 {
		t.Errorf("without a it is %d", got)
	}
}

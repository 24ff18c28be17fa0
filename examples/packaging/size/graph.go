package main

import (
	"bytes"
	"iter"
	"regexp"
	"strconv"
	"strings"
)

// graph is what the linker has kept, and why.
type graph struct {
	edges map[string][]string
	sizes map[string]int64
	// imports are those of each package.
	imports map[string][]string
	// modules are the packages of each.
	modules map[string][]string
}

// rooms are parts of ours that stand in the table like a module.
var rooms = map[string]bool{
	"github.com/wgnode/wgnode/node/top": true,
	"github.com/wgnode/wgnode/node/web": true,
	"net/http":                          true,
	"crypto/tls":                        true,
}

const mainPackage = "github.com/wgnode/wgnode/cmd/wgnode"

// marks are what the linker notes at a symbol, as <UsedInIface>.
var marks = regexp.MustCompile(` <[A-Za-z]+>`)

func lines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(strings.TrimSuffix(string(line), "\n")) {
				return
			}
		}
	}
}

// readEdges reads what -dumpdep prints: one symbol, and one that it keeps.
func readEdges(dump []byte) map[string][]string {
	edges := make(map[string][]string)
	for line := range lines(dump) {
		if from, to, ok := strings.Cut(marks.ReplaceAllString(line, ""), " -> "); ok {
			edges[from] = append(edges[from], to)
		}
	}
	return edges
}

// readSizes reads what go tool nm prints, but for what the file does not hold.
func readSizes(nm []byte) map[string]int64 {
	sizes := make(map[string]int64)
	for line := range lines(nm) {
		fields := strings.Fields(line)
		if len(fields) < 4 || strings.EqualFold(fields[2], "b") {
			continue
		}
		_, name, _ := strings.Cut(line, " "+fields[2]+" ")
		// A buffer of 32 MiB that is in memory only, whatever nm says.
		if size, err := strconv.ParseInt(fields[1], 10, 64); err == nil && name != "crypto/internal/fips140/drbg.memory" {
			sizes[name] = size
		}
	}
	return sizes
}

// readPackages reads the lines of go list: package, module if it is another's, imports.
func (g *graph) readPackages(list []byte) {
	g.imports, g.modules = make(map[string][]string), make(map[string][]string)
	for line := range lines(list) {
		parts := strings.SplitN(line, " ", 3)
		g.imports[parts[0]] = strings.Fields(parts[2])
		module := parts[1]
		if rooms[parts[0]] {
			module = parts[0]
		}
		if module != "" {
			g.modules[module] = append(g.modules[module], parts[0])
		}
	}
}

// packageOf is the package of a symbol, "" if it is nobody's.
func packageOf(symbol string) string {
	for _, prefix := range []string{"type:.eq.", "type:.hash.", "type:", "go:itab.", "go:interface."} {
		if rest, ok := strings.CutPrefix(symbol, prefix); ok {
			symbol = rest
			break
		}
	}
	symbol = strings.TrimLeft(symbol, "*[]")
	// What follows may have paths of its own: receivers, types of a generic function.
	head := symbol
	if end := strings.IndexAny(head, "([{ ,\""); end >= 0 {
		head = head[:end]
	}
	slash := strings.LastIndexByte(head, '/') + 1
	dot := strings.IndexByte(head[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.ReplaceAll(head[:slash+dot], "%2e", ".")
}

// left are the packages that the program imports without some.
func (g *graph) left(without []string) map[string]bool {
	left := make(map[string]bool)
	for _, name := range without {
		left[name] = false
	}
	left[mainPackage] = true
	for stack := []string{mainPackage}; len(stack) > 0; {
		name := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, imported := range g.imports[name] {
			if _, known := g.imports[imported]; !known {
				imported = "vendor/" + imported // as the standard library has others' packages
			}
			if _, seen := left[imported]; !seen {
				left[imported] = true
				stack = append(stack, imported)
			}
		}
	}
	return left
}

// reached is how large the symbols are that the program keeps without some packages.
func (g *graph) reached(without []string) int64 {
	left := g.left(without)
	gone := func(symbol string) bool {
		name := packageOf(symbol)
		_, known := g.imports[name]
		return known && !left[name] && !strings.HasPrefix(name, "internal/") && !strings.HasPrefix(name, "runtime")
	}
	reached := make(map[string]bool)
	var stack []string
	for symbol := range g.edges {
		reached[symbol] = false
	}
	for _, kept := range g.edges {
		for _, symbol := range kept {
			reached[symbol] = true // for now: something keeps it
		}
	}
	for symbol, kept := range reached {
		if !kept || strings.HasPrefix(symbol, "runtime.") || symbol == "main.main" {
			stack = append(stack, symbol)
		}
	}
	clear(reached)
	var size int64
	for len(stack) > 0 {
		symbol := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if reached[symbol] || gone(symbol) {
			continue
		}
		reached[symbol] = true
		size += g.sizes[symbol]
		stack = append(stack, g.edges[symbol]...)
	}
	return size
}

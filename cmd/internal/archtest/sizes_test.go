package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"slices"
	"testing"
	"unicode/utf8"
)

// The bounds of what a reader has to hold in mind, tests included. A tab counts as
// one character.
const (
	linesOfFile     = 400
	linesOfFunction = 80
	lengthOfLine    = 140
	filesOfRoom     = 20 // without tests
)

// crowded are the rooms that have more files than that, until they are taken apart.
var crowded = []string{"node", "node/config", "node/explain", "node/plan", "probe", "probe/diagnose/rules"}

// A room has so few files that one knows where to look.
func TestFilesOfRooms(t *testing.T) {
	files := make(map[string]int)
	for _, f := range theSource(t).files {
		if !f.test() {
			files[f.room()]++
		}
	}
	for room, n := range files {
		if n > filesOfRoom && !slices.Contains(crowded, room) {
			t.Errorf("%s has %d files, more than %d: what of it is a subject of its own?", room, n, filesOfRoom)
		}
	}
}

// Files are short, functions are, and lines fit on a screen beside another file.
func TestSizes(t *testing.T) {
	s := theSource(t)
	var files, functions, lines []string // what is beyond
	for _, f := range s.files {
		if n := bytes.Count(f.text, []byte("\n")); n > linesOfFile {
			files = append(files, fmt.Sprintf("%s has %d lines, more than %d", f.path, n, linesOfFile))
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := s.fset.Position(fn.Pos()).Line, s.fset.Position(fn.End()).Line
			if n := to - from + 1; n > linesOfFunction {
				functions = append(functions, fmt.Sprintf("%s:%d: %s has %d lines, more than %d", f.path, from, fn.Name.Name, n, linesOfFunction))
			}
		}
		for i, line := range bytes.Split(f.text, []byte("\n")) {
			if n := utf8.RuneCount(line); n > lengthOfLine {
				lines = append(lines, fmt.Sprintf("%s:%d has %d characters, more than %d", f.path, i+1, n, lengthOfLine))
			}
		}
	}
	for _, fault := range slices.Concat(files, functions, lines) {
		t.Error(fault)
	}
}

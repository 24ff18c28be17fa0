package main

import (
	"io"
	"path/filepath"
)

// run is the whole program, without the process around it. args begin with
// the program's name, as os.Args do.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := persona{name: "wgnode", in: stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		return p.execute(newRootCommand())
	}
	p.args = args[1:]
	name := filepath.Base(args[0])
	if stand, ok := personas[name]; ok {
		p.name = name
		return stand(&p)
	}
	return p.execute(newRootCommand(), p.args...)
}

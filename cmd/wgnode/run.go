package main

import (
	"io"

	"github.com/wgnode/wgnode/cmd/internal/wgtool"
)

// run is the whole program, without the process around it. args begin with
// the program's name, as os.Args do.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return wgtool.Run(args, stdin, stdout, stderr, newRootCommand)
}

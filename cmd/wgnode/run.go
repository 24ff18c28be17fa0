package main

import (
	"io"
	"path/filepath"
)

// run is the whole program, without the process around it. args begin with
// the program's name, as os.Args do.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(commandLine(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.Execute())
}

// commandLine returns the command and its arguments. Under the name
// wireguard-go the program stands in for wireguard-go, which wg-quick(8) calls
// as `wireguard-go NAME`: that is `wgnode device NAME`.
func commandLine(args []string) []string {
	if len(args) == 0 {
		return []string{} // cobra would read os.Args in place of nil
	}
	if filepath.Base(args[0]) != "wireguard-go" {
		return args[1:]
	}
	if len(args) == 2 && args[1] == "--version" {
		return []string{"version"}
	}
	return append([]string{"device"}, args[1:]...)
}

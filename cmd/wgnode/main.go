//go:build !man

// Command wgnode runs WireGuard in userspace and says what became of each
// packet. `wgnode help` lists its commands; they live below cmd/internal, each in
// a file of its own, parse their flags, call the packages below and print.
//
// Exit status: 0 well, 1 it could not, 2 wrong usage. The commands that wg(8)
// has too end with wg's status, and `explain`, `doctor`, `trace` and `merge`
// end with 2 when they found a fault.
package main

import (
	"os"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
)

func main() {
	// exec does so later: what is not dumpable cannot make a user namespace.
	if len(os.Args) < 2 || os.Args[1] != "exec" {
		if err := daemon.HideMemory(); err != nil {
			os.Exit(cli.Report(os.Stderr, err))
		}
	}
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/probe/host"
)

// OnLinux reports whether this host has what interfaces and evidence of the kernel are made with.
const OnLinux = runtime.GOOS == "linux"

// NeedsLinux is cmd, which cannot do on other systems what it is for. There it says so at once,
// with what can be done instead, and help marks it.
func NeedsLinux(cmd *cobra.Command, instead ...string) *cobra.Command {
	if OnLinux {
		return cmd
	}
	cmd.Short += " (Linux)"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return WithHint(host.NeedsLinux(cmd.CommandPath()), instead...)
	}
	return cmd
}

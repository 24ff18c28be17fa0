package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
)

// needInterface makes sure that cmd, which is up, may make a network interface. If
// not it begins again as root, or the error says what is missing and what does
// without. A dry run makes none, but root alone can see all that it would do.
func needInterface(cmd *cobra.Command, args []string, dryRun bool) error {
	denied := link.CheckRights()
	if os.Geteuid() == 0 && (denied == nil || dryRun) {
		return nil
	}
	var err error
	if os.Geteuid() != 0 {
		if tried, err := cli.ThroughSudo(); tried {
			return err
		}
		err = fmt.Errorf("%s must be run as root", cmd.CommandPath())
	}
	if denied != nil {
		err = errors.Join(err, fmt.Errorf("cannot make a network interface: %w", denied))
	}
	if dryRun {
		return cli.WithHint(err, cli.AsRoot(cmd))
	}
	return cli.WithHint(err, append(rightsHints(cmd, denied), withoutInterface(cmd, args))...)
}

// rightsHints say how to get the right to make an interface.
func rightsHints(cmd *cobra.Command, denied error) []string {
	if os.Geteuid() != 0 {
		return []string{cli.AsRoot(cmd)}
	}
	var rights *link.RightsError
	if !errors.As(denied, &rights) {
		return nil
	}
	var flags []string
	if rights.Network != nil {
		flags = append(flags, "--cap-add NET_ADMIN")
	}
	if rights.TUN != nil {
		flags = append(flags, "--device /dev/net/tun")
	}
	hints := []string{"in a container of Docker or podman: " + strings.Join(flags, " ")}
	if rights.TUN != nil {
		hints = append(hints, "on a host: sudo modprobe tun")
	}
	return hints
}

// withoutInterface says what to type for a node that takes no privileges, or why
// this configuration has no use for one.
func withoutInterface(cmd *cobra.Command, args []string) string {
	if path, err := naming.FindConfig(args); err == nil {
		if cfg, err := config.Read(path); err == nil { // at fault, it says so later
			if err := node.CheckStack(cfg); err != nil {
				return "--netstack, which needs no privileges, does not help here: " + err.Error()
			}
		}
	}
	return "or without privileges, in a network stack of its own: " + cli.CommandOf(cmd) + " --netstack --socks5 1080"
}

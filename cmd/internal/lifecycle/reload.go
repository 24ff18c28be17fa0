package lifecycle

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/running"
)

func NewReloadCommand() *cobra.Command {
	var dryRun, quiet bool
	cmd := &cobra.Command{
		Use:   "reload [CONF|NAME]",
		Short: "Apply the configuration file to a running tunnel",
		Long: `Reload changes what differs between a running tunnel and its configuration file:
peers, AllowedIPs, addresses, routes, MTU, DNS. Peers that stay keep their
sessions. A peer that has moved keeps its endpoint, unless the file has a new
one. NAME can be omitted if only one node runs.

Hooks are not run. What they or wg(8) have set stays where neither this file nor
the one before states it, such as a key, a port, a mark, peers or AllowedIPs.
Reload says what that is.

If something fails, all changes are undone. SIGHUP makes a node reload, too. With
--dry-run the node says what it would do, and changes nothing.`,
		Example: "  wgnode reload wg0\n  wgnode reload wg0 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := running.Running()
			if err != nil {
				return fmt.Errorf("look for running nodes: %w", err)
			}
			name, err := naming.NodeToChange(cmd, args, names)
			if err != nil {
				return err
			}
			req := control.ReloadRequest{Check: dryRun} // of the file that it was started with
			if len(args) > 0 {
				it, err := naming.ResolveWord(args[0])
				if err != nil {
					return err
				}
				req.Config = it.File
			}
			if naming.IsOnlyKernels(name) {
				return naming.NotOfKernel(name, "to change it: wg set, wg syncconf, or what brought it up")
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			out := cmd.ErrOrStderr()
			switch {
			case dryRun:
				out = cmd.OutOrStdout() // as that of up
			case quiet:
				out = &cli.QuietLines{To: out}
			}
			_, err = reloadNode(ctx, cmd, name, req, out)
			return err
		},
		ValidArgsFunction: naming.CompleteRunning,
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done, and change nothing")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not print what is done, only what is wrong")
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
)

func newReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload [CONF|NAME]",
		Short: "Apply the configuration file to a running tunnel",
		Long: `Reload changes what differs between a running tunnel and its configuration file:
peers, AllowedIPs, addresses, routes, MTU, DNS. Peers that stay keep their
sessions. A peer that has moved keeps its endpoint, unless the file has a new
one. NAME can be omitted if only one node runs.

Hooks are not run. What they or wg(8) have set stays where neither this file nor
the one before states it, such as a key, a port, a mark, peers or AllowedIPs.
Reload says what that is.

If something fails, all changes are undone. SIGHUP makes a node reload, too.`,
		Example: "  wgnode reload wg0",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := node.Running()
			if err != nil {
				return fmt.Errorf("look for running nodes: %w", err)
			}
			name, err := nodeToChange(cmd, args, names)
			if err != nil {
				return err
			}
			path := "" // the file that it was started with
			if len(args) > 0 {
				it, err := resolveWord(args[0])
				if err != nil {
					return err
				}
				path = it.file
			}
			if isOnlyKernels(name) {
				return notOfKernel(name, "to change it: wg set, wg syncconf, or what brought it up")
			}
			c, err := dialNode(cmd, name)
			if err != nil {
				return err
			}
			ctx, stop := interrupted(cmd.Context())
			defer stop()
			out, done := untilOutput(cmd, cmd.ErrOrStderr(), "waiting for %s to take over its file", name)
			defer done()
			return c.Reload(ctx, path, out)
		},
		ValidArgsFunction: completeRunning,
	}
}

package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
)

func newReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload CONF|NAME",
		Short: "Make a running tunnel what its file says by now",
		Long: `Reload changes what differs between a running tunnel and its configuration file:
peers, AllowedIPs, addresses, routes, MTU, DNS. Sessions of peers that stay go on,
and a peer that has moved keeps its endpoint unless the file has another one than
before. Hooks are not run.

If something fails, what was changed is changed back. SIGHUP makes a node reload,
too.`,
		Example: "  wgnode reload wg0",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := interfaceOf(args[0])
			if err != nil {
				return newUsageError(cmd, err)
			}
			path := "" // the file that it was started with
			if !config.ValidName(args[0]) {
				if path, err = filepath.Abs(args[0]); err != nil {
					return err
				}
			}
			c, err := node.Dial(name)
			if err != nil {
				return withHint(err, "`wgnode up "+args[0]+"` brings it up")
			}
			ctx, stop := interrupted(cmd.Context())
			defer stop()
			return c.Reload(ctx, path, cmd.ErrOrStderr())
		},
		ValidArgsFunction: completeNodes,
	}
}

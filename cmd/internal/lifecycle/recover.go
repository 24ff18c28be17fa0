package lifecycle

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/teardown"
)

func NewRecoverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recover [CONF|NAME]",
		Short: "Clean up after nodes that crashed or were killed",
		Long: `Recover undoes what nodes left behind that were killed or crashed: routing rules,
firewall tables, kernel parameters, and the kill switch, which cuts the host off
while its tunnel is down. Without a name it does so for all of them. It leaves
running nodes alone. Having nothing to do is not a failure. Root recovers
the nodes of root, other users their own.`,
		Example: "  wgnode recover\n  wgnode recover wg0",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				var err error
				if name, err = naming.NodeName(cmd, args); err != nil {
					return err
				}
			}
			if !ownDead(name) {
				if err := cli.BecomeRoot(cmd); err != nil {
					return err
				}
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			out, done := cli.UntilOutput(cmd, cmd.ErrOrStderr(), "waiting for another wgnode that brings a tunnel up or down")
			defer done()
			return teardown.Recover(ctx, name, teardown.Options{Out: out, Shell: hook.Terminal()})
		},
		ValidArgsFunction: naming.CompleteDead,
	}
}

// ownDead reports whether this user has a dead node of that name, or any at all:
// one without an interface takes no root.
func ownDead(name string) bool {
	all, _ := running.List() // where nothing can be seen, root may see more
	return slices.ContainsFunc(all, func(k running.Known) bool { return k.State == running.StateDead && (name == "" || k.Name == name) })
}

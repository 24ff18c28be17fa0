package daemon

import (
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/guard"
)

// NewGuardCommand returns the command that a node with a kill switch starts by
// itself.
func NewGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "guard NAME",
		Short:  "Guard a kill switch when its node has died",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := PrepareProcess(); err != nil {
				return err
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			return guard.Run(ctx, cmd.InOrStdin())
		},
	}
}

// Guardian is this program as it guards a kill switch. It is started by the link
// to the file that runs, which an update may have replaced.
func Guardian(link string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "guard", link)
	cmd.Args[0] = "wgnode"
	return cmd
}

package main

import (
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
)

// newGuardCommand returns the command that a node with a kill switch starts by
// itself.
func newGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "guard NAME",
		Short:  "Guard a kill switch when its node has died",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := prepareProcess(); err != nil {
				return err
			}
			ctx, stop := interrupted(cmd.Context())
			defer stop()
			return node.Guard(ctx, cmd.InOrStdin())
		},
	}
}

// guardian is this program as it guards a kill switch. It is started by the link
// to the file that runs, which an update may have replaced.
func guardian(link string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "guard", link)
	cmd.Args[0] = "wgnode"
	return cmd
}

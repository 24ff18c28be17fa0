package wgtool

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

// runProgram is the program with the commands that wg(8) and wg-quick(8) have, too.
func runProgram(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return Run(args, stdin, stdout, stderr, func() *cobra.Command {
		root := &cobra.Command{Use: "wgnode", SilenceErrors: true, SilenceUsage: true}
		root.AddCommand(NewShowCommand(), NewShowconfCommand(), NewSetCommand(), NewSetconfCommand(), NewAddconfCommand(), NewSyncconfCommand(),
			NewGenkeyCommand(), NewGenpskCommand(), NewPubkeyCommand(), NewStripCommand())
		cli.StrictUsage(root)
		return root
	})
}

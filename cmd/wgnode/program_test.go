package main

import (
	"io"

	"github.com/spf13/cobra"
)

// runProgram is the program with the commands that wg(8) and wg-quick(8) have, too.
func runProgram(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return Run(args, stdin, stdout, stderr, func() *cobra.Command {
		root := &cobra.Command{Use: "wgnode", SilenceErrors: true, SilenceUsage: true}
		root.AddCommand(newShowCommand(), newShowconfCommand(), newSetCommand(), newSetconfCommand(), newAddconfCommand(), newSyncconfCommand(),
			newGenkeyCommand(), newGenpskCommand(), newPubkeyCommand(), newStripCommand())
		strictUsage(root)
		return root
	})
}

package main

import (
	"github.com/spf13/cobra"
)

// newRootCommand builds the whole tree of commands. Each call builds a new one,
// because a cobra command keeps the flags of the run before.
func newRootCommand() *cobra.Command {
	built := buildVersion()
	root := &cobra.Command{
		Use:   "wgnode",
		Short: "A userspace WireGuard node that explains itself",
		Long: `wgnode brings up WireGuard tunnels as wg-quick does, in userspace, and shows what
happened to each packet: which checkpoints it passed, where it was dropped, and what
to change. It does the same for the kernel's WireGuard.

Without a command it shows the tunnels of this host and their peers at a glance, as
"wgnode status" does.`,
		Version: built,
		// report prints errors, once and in our form.
		SilenceErrors:              true,
		Args:                       unknownCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return listTunnels(cmd) },
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	// Most arguments and values are no files. Those that are say so.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(
		newInitCommand(),
		newUpCommand(),
		newDownCommand(),
		newRecoverCommand(),
		newUndoCommand(),
		newRunCommand(),
		newExecCommand(),
		newReloadCommand(),
		newApplyCommand(),
		newCheckCommand(),
		newPeerCommand(),
		newGuardCommand(),
		newSocketCommand(),
		newMendHereCommand(),
		newConnectCommand(),
		newDeviceCommand(),
		newWatchCommand(),
		newTopCommand(),
		newDropsCommand(),
		newMonitorCommand(),
		newRecordCommand(),
		newDemoCommand(),
		newExplainCommand(),
		newStatusCommand(),
		newDoctorCommand(),
		newHistoryCommand(),
		newTraceCommand(),
		newPingCommand(),
		newMergeCommand(),
		newBundleCommand(built),
		newWebCommand(),
		newGenkeyCommand(),
		newGenpskCommand(),
		newPubkeyCommand(),
		newShowCommand(),
		newShowconfCommand(),
		newSetCommand(),
		newSetconfCommand(),
		newAddconfCommand(),
		newSyncconfCommand(),
		newStripCommand(),
		newSaveCommand(),
		newConvertCommand(),
		newVersionCommand(),
	)
	// cobra adds these two only while it runs; now they get strictUsage too.
	helpOfCodes(root)
	root.InitDefaultCompletionCmd()
	completionInOurWords(root)
	strictUsage(root)
	root.SetUsageTemplate(helpTemplate(root.UsageTemplate()))
	fitHelp(root)
	return root
}

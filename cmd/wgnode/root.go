package main

import (
	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/conffile"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/diagnosis"
	"github.com/wgnode/wgnode/cmd/internal/inspect"
	"github.com/wgnode/wgnode/cmd/internal/lifecycle"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/cmd/internal/traffic"
	"github.com/wgnode/wgnode/cmd/internal/wgtool"
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
		// cli.Report prints errors, once and in our form.
		SilenceErrors:              true,
		Args:                       cli.UnknownCommand,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	withoutCommand(root, built)
	// Most arguments and values are no files. Those that are say so.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(
		conffile.NewInitCommand(),
		lifecycle.NewUpCommand(),
		lifecycle.NewDownCommand(),
		lifecycle.NewRecoverCommand(),
		diagnosis.NewUndoCommand(),
		lifecycle.NewRunCommand(),
		cli.NeedsLinux(lifecycle.NewExecCommand(), "a tunnel for programs that can use a proxy: wgnode run CONF --socks5 1080"),
		lifecycle.NewReloadCommand(),
		lifecycle.NewApplyCommand(),
		conffile.NewCheckCommand(),
		conffile.NewPeerCommand(),
		daemon.NewGuardCommand(),
		naming.NewSocketCommand(),
		diagnosis.NewMendHereCommand(),
		lifecycle.NewConnectCommand(),
		lifecycle.NewDeviceCommand(),
		traffic.NewWatchCommand(),
		inspect.NewTopCommand(),
		cli.NeedsLinux(traffic.NewDropsCommand(), "what the tunnel itself drops: wgnode watch NAME"),
		cli.NeedsLinux(lifecycle.NewMonitorCommand(), "a tunnel of this program records always: wgnode run CONF"),
		traffic.NewRecordCommand(),
		inspect.NewDemoCommand(),
		diagnosis.NewExplainCommand(),
		inspect.NewStatusCommand(),
		diagnosis.NewDoctorCommand(),
		inspect.NewHistoryCommand(),
		cli.NeedsLinux(diagnosis.NewTraceCommand(), "the path through the tunnel: wgnode explain NAME DEST"),
		diagnosis.NewPingCommand(),
		diagnosis.NewMergeCommand(),
		inspect.NewBundleCommand(built),
		inspect.NewWebCommand(),
		wgtool.NewGenkeyCommand(),
		wgtool.NewGenpskCommand(),
		wgtool.NewPubkeyCommand(),
		wgtool.NewShowCommand(),
		wgtool.NewShowconfCommand(),
		wgtool.NewSetCommand(),
		wgtool.NewSetconfCommand(),
		wgtool.NewAddconfCommand(),
		wgtool.NewSyncconfCommand(),
		wgtool.NewStripCommand(),
		conffile.NewSaveCommand(),
		conffile.NewConvertCommand(),
		newVersionCommand(),
	)
	// cobra adds these two only while it runs; now they get cli.StrictUsage too.
	diagnosis.HelpOfCodes(root)
	root.InitDefaultCompletionCmd()
	cli.CompletionInOurWords(root)
	cli.StrictUsage(root)
	root.SetUsageFunc(cli.Usage)
	cli.FitHelp(root)
	return root
}

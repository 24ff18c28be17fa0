package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// newRootCommand builds the whole tree of commands. Each call builds a new one,
// because a cobra command keeps the flags of the run before.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "wgnode",
		Short: "A userspace WireGuard node that explains itself",
		Long: `wgnode brings up WireGuard tunnels as wg-quick does, in userspace, and can say
what became of each packet: which checkpoint it passed, where it was dropped,
and what to change.`,
		Version: buildVersion(),
		// report prints errors, once and in our form.
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	// Most arguments and values are no files. Those that are say so.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(
		newUpCommand(),
		newDownCommand(),
		newRecoverCommand(),
		newRunCommand(),
		newExecCommand(),
		newReloadCommand(),
		newConnectCommand(),
		newDeviceCommand(),
		newWatchCommand(),
		newRecordCommand(),
		newDemoCommand(),
		newExplainCommand(),
		newDoctorCommand(),
		newTraceCommand(),
		newMergeCommand(),
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
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strictUsage(root)
	return root
}

// strictUsage makes every wrong use of cmd and the commands below it a
// usageError, and gives no command a way to accept what it ignores: cobra on
// its own prints the help and reports success for `completion nope`. A command
// without Args takes no arguments.
func strictUsage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return newUsageError(c, err) })
	check := cmd.Args
	switch {
	case cmd.Name() == "help":
		check = helpTopic
	case !cmd.Runnable():
		cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		check = unknownCommand
	case check == nil:
		check = noArgs
	}
	cmd.Args = func(c *cobra.Command, args []string) error {
		err := check(c, args)
		var status exitStatus
		if err == nil || errors.As(err, &status) {
			return err
		}
		return newUsageError(c, err)
	}
	for _, sub := range cmd.Commands() {
		strictUsage(sub)
	}
}

// unknownCommand takes no arguments: what stands where a command of the group
// cmd should be is none of them.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return withHint(err, fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), like[0]))
	}
	return err
}

// noArgs is for commands below which there is nothing.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

// helpTopic takes the path of a command, for `wgnode help PATH...`.
func helpTopic(help *cobra.Command, args []string) error {
	topic, rest, err := help.Root().Find(args)
	if err != nil {
		return err
	}
	return unknownCommand(topic, rest)
}

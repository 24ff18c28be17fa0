package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/top"
	"github.com/wgnode/wgnode/probe/filter"
)

func NewTopCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "top [CONF|NAME]...",
		Short: "Show peers, flows and drops on a live screen",
		Long: `Top shows the state of the tunnels NAME, or of all tunnels of this host, and keeps it
up to date: peers with their state, rates and verdict, faults first; flows, with the
ladder of the selected one as its packets pass; and dropped packets by reason. Enter
explains the selected row, / filters in the language of "wgnode watch", r records to
a file in the current folder, and ? shows all keys. The mouse works, too. q quits;
nothing is left behind.

It shows tunnels of wgnode and of the kernel alike. If one goes down, it says so and
waits for it.

With a lot of traffic it samples packets: numbers with ~ are estimates then. The
selected flow is counted in full unless it has too many packets.

With -r it shows a recording of "wgnode record", or a bundle, as of any time in it:
the arrow keys, Home and End move through the time, and Space plays it.

It needs a terminal. Colors follow the terminal; NO_COLOR turns them off. For
scripts use "wgnode status --json" and "wgnode watch --json".`,
		Example: `  wgnode top
  wgnode top wg0
  wgnode top -r wg0.pcapng`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" && len(args) > 0 {
				return cli.NewUsageError(cmd, cli.ErrFileAndName)
			}
			if file != "" {
				return topRecording(cmd, file)
			}
			return topLive(cmd, args)
		},
		ValidArgsFunction: completeTop,
	}
	cli.ReadFlag(cmd, &file)
	return cmd
}

func completeTop(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := naming.Lookable()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
}

// needTerminal is the error where there is no terminal to show what on.
func needTerminal(cmd *cobra.Command, what string) error {
	if cli.IsTerminal(cmd.OutOrStdout()) {
		return nil
	}
	return cli.WithHint(fmt.Errorf("top of %s: standard output is not a terminal", what),
		"`wgnode status --watch` prints the same again and again, `wgnode watch` each packet, both with --json")
}

// topLive shows tunnels as they are.
func topLive(cmd *cobra.Command, args []string) error {
	names := make([]string, 0, len(args))
	for _, arg := range args {
		name, err := naming.NodeName(cmd, []string{arg})
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	there, err := toLookAt(cmd, names)
	if err != nil {
		return err
	}
	if err := needTerminal(cmd, strings.Join(there, ", ")); err != nil {
		return err
	}
	list := func() []string {
		if len(names) > 0 {
			return names
		}
		all, _ := naming.Lookable() // what cannot be listed now is asked for again
		return all
	}
	ctx, stop := ended(cmd.Context())
	defer stop()
	live := top.NewLive(ctx, top.LiveOptions{List: list, Dial: dialTop})
	err = runTop(ctx, cmd, live)
	stop()
	live.Wait()
	return err
}

// toLookAt are the tunnels to look at, all if none is named. The error says what is wrong before there
// is a screen or a page: nothing to look at, or a name of nothing.
func toLookAt(cmd *cobra.Command, names []string) ([]string, error) {
	if len(names) == 0 {
		all, unseen := running.List()
		if running := naming.RunningOf(all); len(running) > 0 {
			return running, nil // the rest is no matter
		}
		return nil, naming.NoneRuns(cmd, all, unseen)
	}
	for _, name := range names {
		if naming.IsOnlyKernels(name) {
			continue // what is in the way is said where it is shown
		}
		if _, err := naming.DialNode(cmd, name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// dialTop connects to a node, or watches a device of the kernel's until ctx ends.
func dialTop(ctx context.Context, name string) (top.Client, error) {
	c, err := running.Dial(name)
	if errors.Is(err, rundir.ErrNotRunning) && kernelnode.IsDevice(name) {
		c, err = kernelnode.Dial(ctx, name, kernelnode.Options{Sender: naming.PassSocket})
	}
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return c, nil
}

// topRecording shows a recording.
func topRecording(cmd *cobra.Command, path string) error {
	if path == "-" {
		return cli.NewUsageError(cmd, errors.New("-r -: the recording is read again and again: give a file"))
	}
	if err := needTerminal(cmd, path); err != nil {
		return err
	}
	f, err := top.OpenRecording(path)
	if err != nil {
		return cli.WithHint(err, cli.RecordingHints(err)...)
	}
	defer f.Close()
	ctx, stop := ended(cmd.Context())
	defer stop()
	err = runTop(ctx, cmd, f)
	for _, note := range f.Notes {
		err = errors.Join(err, cli.Warn(cmd, "note: %s", note))
	}
	return err
}

func runTop(ctx context.Context, cmd *cobra.Command, src top.Source) error {
	screen, err := top.Terminal()
	if err != nil {
		return cli.WithHint(fmt.Errorf("top: %w", err), "`wgnode status --watch` and `wgnode watch` need none")
	}
	m := top.New(src, top.Options{Colors: screen.Colors(), CheckFilter: func(words []string) error {
		_, err := filter.Compile(words, naming.AnyPeer)
		return err
	}})
	said, err := top.Run(ctx, screen, m)
	if said != "" {
		err = errors.Join(err, cli.Warn(cmd, "%s", said))
	}
	return err
}

// ended is a context that ends with what ends a program that has the terminal.
func ended(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
}

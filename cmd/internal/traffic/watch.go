package traffic

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
)

func NewWatchCommand() *cobra.Command {
	var req control.WatchRequest
	var file string
	var kernel bool
	cmd := &cobra.Command{
		Use:   "watch [CONF|NAME] [FILTER]...",
		Short: "Show packets as they pass, one line each",
		Long: `Watch prints a line for each packet as it passes one of the node's seams, with
all that the node knows about it: checkpoint, seam, peer, addresses, and where and
why it was dropped. Ctrl-C ends it. If there was more than it could show, it says
how many events are missing. If there is a lot of traffic, --every 100 picks one
packet of a hundred and shows all that happens to it. Rare events are always
shown: handshakes, drops, a peer that moves.

FILTER is a list of words: terms of different keys must all match, terms of one
key are alternatives, and "not" excludes.

  peer NAME, checkpoint A4, seam tun-read, direction in|out,
  kind data|handshake|..., verdict dropped, reason no-endpoint,
  proto tcp, host 10.0.0.1, net 10.0.0.0/8, port 80,443
  (with src, dst, and outer in front)

You can omit the key, except for peer names: "tcp", "dropped", "A4".

With --drops, or a reason of the kernel's such as TC_EGRESS, it also shows what
the kernel of this host drops of the tunnel's packets, inside of it and
encrypted, at no seam: see "wgnode drops", also for the rights that it
needs. Without them it says so, and shows the rest.

-r prints a recording of "wgnode record", with what the kernel has dropped.`,
		Example: `  wgnode watch wg0
  wgnode watch wg0 peer alice tcp port 80,443
  wgnode watch dropped not reason replayed
  wgnode watch wg0 --drops tcp port 443 dropped
  wgnode watch wg0 handshake --past --json
  wgnode watch -r wg0.pcapng peer alice`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.Every == 0 {
				return cli.NewUsageError(cmd, errors.New("--every 0: want a number of at least 1"))
			}
			if file != "" {
				req.Filter = args
				return watchRecording(cmd, file, req)
			}
			name, words, err := splitWatch(cmd, args)
			if err != nil {
				return err
			}
			req.Filter = words
			return runWatch(cmd, name, req, kernel)
		},
		ValidArgsFunction: completeWatch,
	}
	cmd.Flags().BoolVar(&req.JSON, "json", false, "print one JSON object a line")
	cmd.Flags().UintVar(&req.Every, "every", 1, "show only one packet of `N`")
	cmd.Flags().BoolVar(&req.Past, "past", false, "begin with the contents of the flight recorder")
	cmd.Flags().BoolVar(&kernel, "drops", false, "also show what the kernel drops of the tunnel's packets")
	cli.ReadFlag(cmd, &file)
	return cmd
}

// splitWatch takes what names a node from the front of args. What does not name a
// node begins the filter, if it is clear which node is meant.
func splitWatch(cmd *cobra.Command, args []string) (name string, words []string, err error) {
	all, unseen := running.List()
	if len(args) > 0 {
		name, err := naming.NodeName(cmd, args[:1])
		isFile := strings.HasSuffix(args[0], ".conf") || strings.HasSuffix(args[0], ".toml")
		isKnown := slices.ContainsFunc(all, func(k running.Known) bool { return k.Name == name })
		switch {
		case isFile && err != nil:
			return "", nil, err
		case isFile, isKnown, len(all) == 0: // where there are only dead ones, these are named
			return name, args[1:], err
		}
	}
	name, err = naming.PickNode(cmd, all, unseen)
	if len(args) > 0 && !beginsFilter(args) {
		err = noTunnelAmong(cmd, err, args, naming.RunningOf(all))
	}
	if err != nil {
		return "", nil, err
	}
	return name, args, naming.WarnOfDead(cmd, all)
}

// noTunnelAmong is the error for words that name neither a tunnel nor what a filter begins with;
// err is why it is not clear either which tunnel is meant, nil if it is.
func noTunnelAmong(cmd *cobra.Command, err error, words, running []string) error {
	there := "running: " + strings.Join(running, ", ")
	if _, several := errors.AsType[*naming.SeveralError](err); several {
		return fmt.Errorf("there is no tunnel %s; %s", words[0], there)
	}
	if _, wrong := filter.Split(words, naming.AnyPeer, nil); err == nil && wrong != nil {
		return cli.NewUsageError(cmd, cli.WithHint(wrong, fmt.Sprintf("it is not the name of a tunnel either; %s", there)))
	}
	return err
}

// beginsFilter reports whether words are a filter, of events or of the kernel's drops, or become one
// by more words.
func beginsFilter(words []string) bool {
	for n := len(words); n > 0; n-- {
		if _, err := filter.Split(words[:n], naming.AnyPeer, nil); err == nil {
			return true
		}
	}
	for _, more := range []string{"x", "tcp"} { // as a peer's name, and behind "not"
		if _, err := filter.Split([]string{words[0], more}, naming.AnyPeer, nil); err == nil {
			return true
		}
	}
	return false
}

func runWatch(cmd *cobra.Command, name string, req control.WatchRequest, asked bool) error {
	parts, kernel, err := watchParts(cmd, req.Filter, asked)
	if err != nil {
		return err
	}
	req.Filter = parts.Events
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	out, done := cli.UntilOutput(cmd, cmd.OutOrStdout(), "waiting for packets of %s; Ctrl-C ends", name)
	opt := cli.TextOptions(cmd).Options
	req.Color = opt.Color
	lines := newEventLines(out, req.JSON, opt)
	var lost uint64
	if kernel {
		lost, err = watchBoth(ctx, cmd, c, name, req, parts, lines)
	} else {
		lost, err = c.Watch(ctx, req, lines)
	}
	done()
	if err != nil {
		err = fmt.Errorf("watch %s: %w", name, err)
	}
	if lost > 0 {
		err = errors.Join(err, cli.Warn(cmd, "%s", eventtext.MissingEvents(lost, "shown")))
	}
	return err
}

func completeWatch(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	reasons, _ := drops.Reasons() // of another kernel there are none to offer
	return completeFilter(cmd, args, func(args []string) []string { return filter.CompleteBoth(args, toComplete, reasons) })
}

// completeFilter offers names of nodes, and behind one the words that complete knows, and
// peers.
func completeFilter(cmd *cobra.Command, args []string, complete func([]string) []string) ([]string, cobra.ShellCompDirective) {
	names, err := naming.Lookable()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var words []string
	node := ""
	switch {
	case len(args) > 0 && (slices.Contains(names, args[0]) || len(names) == 0):
		node, args = args[0], args[1:]
	case len(args) == 0:
		words = names
		fallthrough
	default:
		if len(names) == 1 {
			node = names[0]
		}
	}
	words = append(words, complete(args)...)
	if filter.WantsPeer(args) && node != "" {
		words = append(words, naming.PeerNames(cmd, node)...)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

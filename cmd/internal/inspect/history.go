package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/timeline"
)

// historyPeriods is how many periods of a peer are shown without -v.
const historyPeriods = 10

func NewHistoryCommand() *cobra.Command {
	var o struct {
		since         string
		verbose, json bool
	}
	cmd := &cobra.Command{
		Use:   "history [NAME] [PEER]",
		Short: "Show what state each peer was in, over days",
		Long: `History shows when each peer of a tunnel was up, failed or was idle, for how long,
and why. No command has to run at that time: the node writes down each change as it
happens, into a file of a few MiB in /var/lib/wgnode that keeps days to months.
For users other than root the folder is ~/.local/state/wgnode.

NAME is the tunnel, which need not be up; it can be omitted if there is only one.
PEER is the name of a peer, its public key, or the first characters of the key.
Peers that did not fail are counted; -v shows them, too, and each peer's whole
history in that time. The states are those of "wgnode doctor".

Exit status: 0, also where a peer has failed; 1 the history could not be read.`,
		Example: "  wgnode history\n  wgnode history wg0 hub --since 7d\n  wgnode history --since 2026-11-28 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			since, err := parseSince(o.since, now)
			if err != nil {
				return cli.NewUsageError(cmd, fmt.Errorf("--since %s: %w", o.since, err))
			}
			name, peer, lines, err := findHistory(cmd, args)
			if err != nil {
				return err
			}
			r := lines.Report(name, since, now)
			if peer != "" {
				if err := onlyPeer(r, lines, peer); err != nil {
					return err
				}
			}
			opt := render.HistoryOptions{Options: cli.TextOptions(cmd), Periods: historyPeriods, Steady: o.verbose || peer != ""}
			if o.verbose {
				opt.Periods = 0
			}
			return cli.PrintReport(cmd, r, o.json, func() error { return render.History(cmd.OutOrStdout(), r, opt) })
		},
		ValidArgsFunction: completeHistories,
	}
	cmd.Flags().StringVar(&o.since, "since", "24h", "begin this far back (90m, 24h, 7d), or at a `TIME` (2026-11-28, \"2026-11-28 14:00\")")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show all peers, and all that is known of each in that time")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

// parseSince reads a duration back from now, also in days, or a time of this host's clock.
func parseSince(s string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n > 0 && n < 36500) {
			return time.Time{}, errors.New("want a number of days, such as 7d")
		}
		return now.Add(-time.Duration(n * float64(24*time.Hour))), nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		if d <= 0 {
			return time.Time{}, errors.New("want a time above zero, such as 24h")
		}
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		at, err := time.ParseInLocation(layout, s, time.Local)
		if err != nil {
			continue
		}
		if at.After(now) {
			return time.Time{}, errors.New("that is yet to come")
		}
		return at, nil
	}
	return time.Time{}, errors.New("want a duration, such as 90m, 24h or 7d, or a time, such as 2026-11-28 or \"2026-11-28 14:00\"")
}

// findHistory reads the history that args name. A word that names no tunnel is a peer.
func findHistory(cmd *cobra.Command, args []string) (name, peer string, lines *timeline.Lines, err error) {
	dir := history.Dir()
	names, err := history.Names(dir)
	if errors.Is(err, fs.ErrPermission) {
		return "", "", nil, cli.WithHint(err, cli.AsRoot(cmd))
	}
	if err != nil {
		return "", "", nil, err
	}
	for _, word := range args {
		switch it, err := naming.ResolveWord(word); {
		case name == "" && err == nil && slices.Contains(names, it.Name):
			name = it.Name
		case peer == "":
			peer = word
		default:
			return "", "", nil, noHistory(cmd, word, names)
		}
	}
	if name == "" && len(args) == 2 {
		return "", "", nil, noHistory(cmd, args[0], names)
	}
	switch {
	case name != "":
	case len(names) == 0:
		return "", "", nil, noHistory(cmd, "", names)
	case len(names) == 1:
		name = names[0]
	case peer != "":
		name, err = historyWithPeer(dir, names, peer)
	default:
		if name, err = naming.OnlyNode(names); err != nil {
			err = fmt.Errorf("there are histories of several tunnels; choose one: %s", strings.Join(names, ", "))
		}
	}
	if err == nil {
		lines, err = history.Read(dir, name)
	}
	return name, peer, lines, err
}

func noHistory(cmd *cobra.Command, name string, names []string) error {
	hints := []string{"a history begins when wgnode up or run brings a tunnel up"}
	if len(names) > 0 {
		hints = []string{"there are histories of: " + strings.Join(names, ", ")}
	} else if os.Geteuid() != 0 {
		hints = append(hints, "that of root's tunnels: sudo "+cli.CommandOf(cmd))
	}
	if name == "" {
		return cli.WithHint(errors.New("there is no history yet"), hints...)
	}
	return cli.WithHint(fmt.Errorf("there is no history of %s", name), hints...)
}

// historyWithPeer is the one tunnel of several whose history has a peer.
func historyWithPeer(dir string, names []string, peer string) (string, error) {
	var have []string
	for _, name := range names {
		lines, err := history.Read(dir, name)
		if err != nil {
			return "", err
		}
		if len(lines.Named(peer)) > 0 {
			have = append(have, name)
		}
	}
	switch len(have) {
	case 0:
		return "", fmt.Errorf("%s is neither a tunnel nor a peer in the history of %s", peer, strings.Join(names, ", "))
	case 1:
		return have[0], nil
	}
	return "", fmt.Errorf("a peer %s is in the history of several tunnels; choose one: %s", peer, strings.Join(have, ", "))
}

// onlyPeer leaves in r the peers that a word means.
func onlyPeer(r *timeline.Report, lines *timeline.Lines, word string) error {
	named := lines.Named(word)
	if len(named) == 0 {
		return cli.WithHint(fmt.Errorf("no peer %s in the history of %s", word, r.Interface), "all its peers: wgnode history -v "+r.Interface)
	}
	r.Peers = slices.DeleteFunc(r.Peers, func(p timeline.Peer) bool { return !named[p.Peer] })
	return nil
}

// completeHistories completes the names of tunnels that have a history, then those of peers in it.
func completeHistories(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := history.Names(history.Dir())
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if len(args) == 0 {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	lines, err := history.Read(history.Dir(), args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var peers []string
	for i := range lines.Lines {
		if name := lines.Lines[i].Name; name != "" {
			peers = append(peers, name)
		}
	}
	slices.Sort(peers)
	return slices.Compact(peers), cobra.ShellCompDirectiveNoFileComp
}

package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/render"
)

// statusOptions are what `wgnode status` is asked for.
type statusOptions struct {
	peer, sort string
	states     []string
	limit      int
	all        bool
	watch      bool
	interval   time.Duration
	json       bool
}

const (
	// fewPeers is up to how many peers the idle ones are listed.
	fewPeers = 20
	// listedPeers is how many are listed, unless more are asked for.
	listedPeers = 50
	// verdictWait is how long to wait for verdicts where nobody has looked before. What is recorded
	// of ten thousand peers is read and judged in less.
	verdictWait = 2 * time.Second
	// leastInterval keeps who watches from being the load that he looks for.
	leastInterval = 200 * time.Millisecond
)

func NewStatusCommand() *cobra.Command {
	o := statusOptions{interval: 2 * time.Second}
	cmd := &cobra.Command{
		Use:   "status [CONF|NAME]",
		Short: "Show the tunnels of this host and their peers at a glance",
		Long: `Status shows the tunnels of this host, or the one that is named: those of wgnode and
the kernel's, those that have died, and those of other users as far as they can be
seen. Each peer has a line: its state, how long ago the latest handshake was, its
endpoint, how long it took to answer our latest initiation, bytes a second in and
out, and of a fault the verdict, with a question mark if it is not certain. "wgnode
doctor NAME PEER" says what it rests on and what to do.

Faults come first. On a tunnel with more than 20 peers those that are idle, without a
session and without a fault, are counted and not listed; at most 50 are listed. --all,
--peer and --state list more.

The verdicts are those that the node keeps up to date while a command asks for them.
Status sends nothing. It shows no findings, and so not the state degraded: for these
the whole host must be checked, which "wgnode doctor" does. The level says how much is
known of a tunnel's packets: device is wgnode's own; exact, half and capture are of the
kernel's WireGuard.

With --watch it continues until it is interrupted, and repaints a terminal. Through a
pipe it prints one block after the other, with --json one object a line.

Exit status: 0 it could look, 1 it could not. Faults of peers do not change it: see
"wgnode doctor".`,
		Example: "  wgnode status\n  wgnode status wg0 --state failing\n  wgnode status --peer office --watch\n  wgnode status --sort rate --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args)
		},
		ValidArgsFunction: completeStatus,
	}
	f := cmd.Flags()
	f.StringVar(&o.peer, "peer", "", "only the `PEER` of that name, key or beginning of a key")
	f.StringSliceVar(&o.states, "state", nil, "only peers in that `STATE`: failing, handshaking, up, stale, never-seen")
	f.StringVar(&o.sort, "sort", "faults", "order of peers: faults, name, handshake, rate, bytes, rtt")
	f.IntVar(&o.limit, "limit", listedPeers, "peers of a tunnel to list at most, 0 for all")
	f.BoolVar(&o.all, "all", false, "list all peers, the idle ones, too")
	f.BoolVar(&o.watch, "watch", false, "go on until it is interrupted")
	f.DurationVar(&o.interval, "interval", o.interval, "time between two looks of --watch")
	f.BoolVar(&o.json, "json", false, "print one JSON object, of all peers unless told otherwise")
	for flag, words := range map[string][]string{"state": stateWords(), "sort": overview.Sorts()} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("peer", naming.CompletePeerFlag)
	return cmd
}

func stateWords() (words []string) {
	for _, s := range overview.States() {
		if s != diagnose.StateDegraded { // which is doctor's
			words = append(words, string(s))
		}
	}
	return words
}

// request is what the tunnels are asked.
func (o *statusOptions) request(cmd *cobra.Command) (overview.Request, error) {
	r := overview.Request{Peer: o.peer, Limit: o.limit, Few: fewPeers, Wait: verdictWait}
	if o.json && !cmd.Flags().Changed("limit") || o.all {
		r.Limit, r.Few = 0, 0
	}
	var err error
	if r.Sort, err = overview.ParseSort(o.sort); err != nil {
		return r, cli.NewUsageError(cmd, fmt.Errorf("--sort: %w", err))
	}
	if o.limit < 0 {
		return r, cli.NewUsageError(cmd, errors.New("--limit: want a number of peers, 0 for all"))
	}
	if o.interval < leastInterval {
		return r, cli.NewUsageError(cmd, fmt.Errorf("--interval %v: want %v or more", o.interval, leastInterval))
	}
	for _, word := range o.states {
		if known := stateWords(); !slices.Contains(known, word) {
			return r, cli.NewUsageError(cmd, fmt.Errorf("--state %s: want %s", word, strings.Join(known, ", ")))
		}
		r.States = append(r.States, diagnose.State(word))
	}
	return r, nil
}

func (o *statusOptions) run(cmd *cobra.Command, args []string) error {
	req, err := o.request(cmd)
	if err != nil {
		return err
	}
	var names []string
	if len(args) > 0 {
		name, err := naming.NodeName(cmd, args)
		if err != nil {
			return err
		}
		names = []string{name}
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	host := newHost(ctx, cmd)
	look := func(req overview.Request) *overview.Overview { return lookAtHost(ctx, cmd, host, names, req) }
	if o.watch {
		return o.follow(ctx, cmd, look, req)
	}
	done := cli.Waiting(cmd, "looking")
	seen := look(req)
	if done(); ctx.Err() != nil {
		return ctx.Err()
	}
	if err := cli.PrintReport(cmd, seen, o.json, func() error { return printOverview(cmd, seen, "") }); err != nil {
		return err
	}
	return couldLook(seen, names, req.Peer)
}

// couldLook is why what was asked for could not be looked at, which has been said; else nil.
func couldLook(seen *overview.Overview, names []string, peer string) error {
	asked, found := 0, 0
	for i := range seen.Tunnels {
		if t := &seen.Tunnels[i]; t.Error == "" {
			asked++
			found += len(t.Peers) + t.Left
		}
	}
	switch {
	case len(names) > 0 && asked == 0, len(seen.Tunnels) > 0 && asked == 0:
		return cli.ExitStatus(cli.StatusFailed)
	case peer != "" && found == 0:
		return fmt.Errorf("no peer is called %q", peer)
	}
	return nil
}

// newHost asks the tunnels of this host, and words what keeps one from being asked.
func newHost(ctx context.Context, cmd *cobra.Command) *running.Host {
	return running.NewHost(ctx, running.HostOptions{Kernel: kernelnode.Options{Sender: naming.PassSocket},
		Say: func(k *running.Known, err error) (string, []string) {
			switch stopped := naming.WhileStopped(err); {
			case stopped != nil:
				err = stopped
			case err == nil:
				err = naming.Unusable(cmd, k)
			case errors.Is(err, control.ErrEarlier):
				err = cli.WithHint(err, "until it is restarted: wgnode doctor "+config.ShellQuote(k.Name))
			case k.State == running.StateKernel:
				err = naming.KernelError(cmd, err)
			}
			return err.Error(), cli.Hints(err)
		}})
}

// lookAtHost looks once. To an ordinary user the host does not show all.
func lookAtHost(ctx context.Context, cmd *cobra.Command, h *running.Host, names []string, req overview.Request) *overview.Overview {
	seen := h.Overview(ctx, names, req)
	history.AddPast(history.Dir(), seen)
	if os.Geteuid() != 0 && len(names) == 0 {
		seen.Unseen = append(seen.Unseen, "nodes of root and of other users, but for those above; to see them: sudo "+cli.CommandOf(cmd))
	}
	return seen
}

// printOverview prints what was seen, and what to type for more.
func printOverview(cmd *cobra.Command, seen *overview.Overview, last string) error {
	var b bytes.Buffer
	if err := writeOverview(&b, seen, statusText(cmd)); err != nil {
		return err
	}
	if len(seen.Tunnels) == 0 {
		b.WriteString("there is no tunnel on this host\n")
	}
	b.WriteString(last)
	return writeStatus(cmd.OutOrStdout(), b.Bytes())
}

func writeStatus(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	return nil
}

func writeOverview(w io.Writer, seen *overview.Overview, opt render.Options) error {
	if err := render.Overview(w, seen, opt); err != nil {
		return err
	}
	for i := range seen.Tunnels {
		t := &seen.Tunnels[i]
		for j := range t.Peers {
			if p := &t.Peers[j]; p.Fault() {
				_, err := fmt.Fprintf(w, "\n%s\n", opt.Paint(nil, eventtext.Dim, whatToDo(t, p, &opt)))
				return err
			}
		}
	}
	return nil
}

// whatToDo is a line that says what to type about a peer's fault; where there is no room, for any.
func whatToDo(t *overview.Tunnel, p *overview.Peer, opt *render.Options) string {
	const label = "what to do: "
	line := opt.Escape(label + doctorOf(t, p))
	if utf8.RuneCountInString(line) > opt.Width {
		line = label + "wgnode doctor " + t.Interface
	}
	return line
}

// doctorOf is what to type to see what is wrong with a peer.
func doctorOf(t *overview.Tunnel, p *overview.Peer) string {
	name := p.Name
	if name == "" {
		name = strings.TrimSuffix(p.PublicKey.Short(), "…")
	}
	return "wgnode doctor " + strings.Join(cli.Quoted([]string{t.Interface, name}), " ")
}

// statusText are the options of the text. What is piped is for programs that cut it themselves.
func statusText(cmd *cobra.Command) render.Options {
	opt := cli.TextOptions(cmd)
	f, ok := cmd.OutOrStdout().(*os.File)
	if !ok || !cli.IsTerminal(f) {
		opt.Width = pipedWidth
		return opt
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		opt.Width = width
	}
	return opt
}

// pipedWidth is wider than any line.
const pipedWidth = 1 << 12

// ListTunnels is what wgnode says when it is asked nothing: the tunnels of this host at a glance,
// or the help where there are none.
func ListTunnels(cmd *cobra.Command) error {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	if all, _ := running.List(); len(all) == 0 { // what could not be looked at is for who asks for it
		return cmd.Help()
	}
	req := overview.Request{Limit: listedPeers, Few: fewPeers, Wait: verdictWait}
	seen := lookAtHost(ctx, cmd, newHost(ctx, cmd), nil, req)
	return printOverview(cmd, seen, fmt.Sprintf("\n`%s --help` lists the commands\n", cmd.CommandPath()))
}

// completeStatus offers what there is to look at, also the dead.
func completeStatus(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return naming.CompleteKnown(args, func(*running.Known) bool { return true })
}

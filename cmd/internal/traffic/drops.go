package traffic

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

type dropsOptions struct {
	json    bool
	length  time.Duration
	metrics cli.MetricsFlags
	filter  []string

	metricsAt exporter.Place
}

func NewDropsCommand() *cobra.Command {
	var o dropsOptions
	cmd := &cobra.Command{
		Use:   "drops [CONF|NAME] [FILTER]...",
		Short: "List what the kernel drops of a tunnel's packets, and why",
		Long: `Drops lists the packets of a tunnel that the kernel of this host drops, with the
kernel's own reason and the function that dropped it: netfilter of every kind,
tc, XDP, BPF at cgroups and sockets, full queues and buffers, checksums, missing
routes and neighbors. On a terminal it is a table that is kept up to date; else
it is a line for each packet, and in a flood for some of them, with the count so
far. Ctrl-C ends it.

"inner" are packets inside the tunnel: those that are at its interface or routed
to it, and those from or to one of its addresses or AllowedIPs (a default route
among these does not count). "outer" are the encrypted ones: UDP from or to the
listen port. "drop" is a reason and place that prove that the packet is lost;
"hint" is one that packets of working connections have, too. Drops that are normal on
every host, such as those of copies, are left out.

Packets are looked at by a BPF program at the tracepoint kfree_skb, while the
command runs. It reads headers and changes nothing, and the kernel removes it
when the command ends, however it ends. It needs the capabilities CAP_BPF and
CAP_PERFMON, or CAP_SYS_ADMIN, on the host, and Linux 5.17 or later with BTF.

FILTER is that of "wgnode watch", with what the headers of a dropped packet say,
and the kernel's reasons:

  reason TC_EGRESS, peer NAME, kind inner|data|handshake|..., proto tcp,
  host 10.0.0.1, net 10.0.0.0/8, port 80,443 (with src, dst, and outer in front)

Counts then include only packets that match and were reported; a + means that there
were more.

With --metrics it prints nothing, and serves the counts to Prometheus for as long
as it runs.`,
		Example: `  wgnode drops wg0
  wgnode drops wg0 not reason NETFILTER_DROP
  wgnode drops wg0 tcp port 443
  wgnode drops wg0 --json --for 10s | jq -c '[.reason, .place, .count]'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			name, words, err := splitWatch(cmd, args)
			if err != nil {
				return err
			}
			o.filter = words
			return runDrops(cmd, name, &o)
		},
		ValidArgsFunction: completeDrops,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object a line")
	cmd.Flags().DurationVar(&o.length, "for", 0, "end after this long")
	o.metrics.Add(cmd, "print nothing, and serve /metrics at `ADDR`: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH")
	return cmd
}

// check turns the flags into what is asked for.
func (o *dropsOptions) check(cmd *cobra.Command) (err error) {
	if o.metrics.At != "" && o.json {
		return cli.NewUsageError(cmd, errors.New("--json and --metrics: want one of them, or two commands"))
	}
	if err := o.metrics.Needed(cmd); err != nil {
		return err
	}
	o.metricsAt, err = o.metrics.Place(cmd)
	return err
}

func runDrops(cmd *cobra.Command, name string, o *dropsOptions) error {
	if len(o.filter) > 0 {
		reasons, _ := drops.Reasons() // where they cannot be read, that is said below
		if _, err := filter.CompileDrops(o.filter, naming.AnyPeer, reasons); err != nil {
			return cli.NewUsageError(cmd, err)
		}
	}
	if err := drops.Available(); err != nil {
		return dropsError(cmd, err)
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	look, space, err := lookAtNamed(ctx, cmd, name)
	if err != nil {
		return err
	}
	list, err := droplist.New(ctx, droplist.Options{Look: look, Namespace: space, Filter: o.filter})
	if err != nil {
		return dropsError(cmd, fmt.Errorf("drops of %s: %w", name, err))
	}
	err = followDrops(ctx, cmd, name, list, o)
	if cerr := list.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("drops of %s: end the watch: %w", name, cerr))
	}
	if lost := list.Lost(); lost > 0 {
		err = errors.Join(err, cli.Warn(cmd, "%d reports are missing: they came faster than they could be read; the counts have them", lost))
	}
	return err
}

func followDrops(ctx context.Context, cmd *cobra.Command, name string, list *droplist.List, o *dropsOptions) error {
	if o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.length)
		defer cancel()
	}
	if list.Tunnel().Interface == "" {
		if err := cli.Warn(cmd, "%s has no interface in this network: only its encrypted packets are looked at", name); err != nil {
			return err
		}
	}
	if !o.metricsAt.IsZero() {
		return serveDrops(ctx, cmd, name, list, o)
	}
	if err := announceDrops(cmd, name); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	opt := cli.TextOptions(cmd).Options
	var into droplist.Taker = newDropLines(out, o.json, opt)
	if f, ok := out.(*os.File); ok && !o.json && cli.IsTerminal(out) && os.Getenv("TERM") != "dumb" {
		into = newDropTable(f, opt)
	}
	if err := list.Follow(ctx, into); err != nil {
		return fmt.Errorf("drops of %s: %w", name, err)
	}
	return nil
}

// announceDrops says that it begins: who starts it from a script waits for that.
func announceDrops(cmd *cobra.Command, name string) error {
	return cli.Warn(cmd, "looking at what the kernel drops of %s", name)
}

// serveDrops shows the list to Prometheus.
func serveDrops(ctx context.Context, cmd *cobra.Command, name string, list *droplist.List, o *dropsOptions) error {
	m, err := exporter.OpenDrops(o.metricsAt, name)
	if err != nil {
		return fmt.Errorf("drops of %s: %w", name, err)
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return m.Serve(ctx, o.metrics.Hosts) })
	both.Go(func() error { return list.Follow(ctx, m) })
	err = announceDrops(cmd, name)
	if served := both.Wait(); served != nil {
		err = errors.Join(err, fmt.Errorf("drops of %s: %w", name, served))
	}
	return err
}

// lookAtNamed is how the tunnel of that name is looked at, and the network that it is in. For a
// device of the kernel's its packets need not be looked at.
func lookAtNamed(ctx context.Context, cmd *cobra.Command, name string) (droplist.Look, string, error) {
	if naming.IsOnlyKernels(name) {
		look := lookAtKernel(name)
		if _, err := look(ctx); err != nil {
			return nil, "", naming.KernelError(cmd, fmt.Errorf("drops of %s: %w", name, err))
		}
		return look, netOf(os.Getpid()), nil
	}
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return nil, "", err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("drops of %s: %w", name, err)
	}
	return lookAt(c, name), netOf(status.PID), nil
}

// lookAtKernel asks the kernel what a device of its own is.
func lookAtKernel(name string) droplist.Look {
	return func(context.Context) (*droplist.Tunnel, error) {
		device, err := kernelnode.Status(name)
		if err != nil {
			return nil, err
		}
		peers, err := kernelnode.Peers(name)
		if err != nil {
			return nil, err
		}
		t := &droplist.Tunnel{Interface: name, Port: device.ListenPort}
		for _, p := range peers {
			if is := device.Peer(p.PublicKey); is != nil {
				t.Peers = append(t.Peers, droplist.Peer{PublicKey: p.PublicKey, Name: p.Name, Endpoint: is.Endpoint, AllowedIPs: is.AllowedIPs})
			}
		}
		return t, nil
	}
}

// lookAt asks what a tunnel is. Which addresses are behind a node's peers only its UAPI
// socket tells, and it has one if it has an interface.
func lookAt(c *control.Client, name string) droplist.Look {
	return func(ctx context.Context) (*droplist.Tunnel, error) {
		status, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		t := &droplist.Tunnel{Port: status.ListenPort}
		device := &uapi.Status{}
		switch {
		case status.OfKernel():
			t.Interface = status.Interface
		case !status.Netstack && !status.Elsewhere:
			t.Interface = status.Interface
			if device, err = uapi.Get(name); err != nil {
				return nil, fmt.Errorf("read the peers of %s: %w", name, err)
			}
		}
		known := device.ByKey()
		for i := range status.Peers {
			p := &status.Peers[i]
			if !p.Configured {
				continue
			}
			peer := droplist.Peer{PublicKey: p.PublicKey, Name: p.Name, Endpoint: p.Endpoint, AllowedIPs: p.AllowedIPs}
			if has := known[p.PublicKey]; has != nil {
				peer.AllowedIPs = has.AllowedIPs
			}
			t.Peers = append(t.Peers, peer)
		}
		return t, nil
	}
}

// dropsError says how to get what the kernel or this process lacks.
func dropsError(cmd *cobra.Command, err error) error {
	err = fmt.Errorf("see what the kernel drops: %w", err)
	switch {
	case errors.Is(err, drops.ErrRights) && os.Geteuid() != 0:
		return cli.WithHint(err, cli.AsRoot(cmd))
	case errors.Is(err, drops.ErrRights):
		return cli.WithHint(err, "in a container of Docker or podman: --cap-add BPF --cap-add PERFMON; "+
			"in a unit of systemd: CapabilityBoundingSet=CAP_BPF CAP_PERFMON; `wgnode explain` does without")
	case errors.Is(err, drops.ErrKernel):
		return cli.WithHint(err, "`wgnode explain` does without, and sees what netfilter's rules drop")
	}
	return err
}

func completeDrops(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	reasons, _ := drops.Reasons() // of another kernel there are none to offer
	return completeFilter(cmd, args, func(args []string) []string { return filter.CompleteDrops(args, toComplete, reasons) })
}

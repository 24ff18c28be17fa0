package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
)

func NewConnectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "connect [CONF|NAME] HOST:PORT",
		Short: "Connect standard input and output to a host in a tunnel",
		Long: `Connect opens a TCP connection through a tunnel and joins standard input and
output to it, as nc does: for ProxyCommand of ssh and the like. It needs no
privileges. Names are resolved inside the tunnel. IPv6 addresses need no
brackets (ssh's %h:%p has none).

It uses the running node of that name, which must run with --netstack; NAME can
be omitted if only one node runs. If no such node runs, connect brings one up
from the file for this connection and takes it down again: only one process at a
time can use the keys of a file.`,
		Example: "  wgnode connect wg0 10.0.0.2:22\n  ssh -o ProxyCommand='wgnode connect ./wg0.conf %h:%p' srv.corp.example",
		RunE: func(cmd *cobra.Command, args []string) error {
			to, ok := hostPort(args[len(args)-1])
			if !ok {
				return cli.NewUsageError(cmd, fmt.Errorf("%q: missing port: want HOST:PORT", args[len(args)-1]))
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			name, err := naming.NodeName(cmd, args[:len(args)-1])
			if err != nil {
				return err
			}
			c, err := running.Dial(name)
			if err == nil {
				return pipe(ctx, c.Connect, to, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			if naming.IsOnlyKernels(name) {
				return naming.NotOfKernel(name, "its network is this host's: connect as to any other host, with nc or ssh")
			}
			if !errors.Is(err, rundir.ErrNotRunning) || len(args) < 2 {
				return err
			}
			if k, _ := running.Find(name); k != nil && k.State == running.StateDead && k.KillSwitch {
				return naming.Unusable(cmd, k) // nothing leaves this host
			}
			return connectAlone(ctx, cmd, args[0], to)
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
}

// hostPort reads HOST:PORT, of which an IPv6 address needs no brackets: %h:%p of ssh
// has none, and there is always a port.
func hostPort(text string) (address string, ok bool) {
	if _, _, err := net.SplitHostPort(text); err == nil {
		return text, true
	}
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return "", false
	}
	addr, err := netip.ParseAddr(text[:at])
	return net.JoinHostPort(addr.String(), text[at+1:]), err == nil && addr.Is6()
}

// connectAlone is connect with a node of its own.
func connectAlone(ctx context.Context, cmd *cobra.Command, conf, address string) error {
	if err := daemon.PrepareProcess(); err != nil {
		return err
	}
	path, err := naming.FindConfig([]string{conf})
	if err != nil {
		return err
	}
	cfg, err := naming.LoadConfig(ctx, path)
	if err != nil {
		return err
	}
	// Its services are for a node that stays.
	cfg.Services = config.Services{PreferIPv4: cfg.Services.PreferIPv4}
	n, err := node.Start(ctx, cfg, node.Options{Netstack: true, NoUAPI: true, NoControl: true})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- n.Run(running) }()
	dial := func(ctx context.Context, address string) (net.Conn, error) { return n.DialContext(ctx, "tcp", address) }
	err = pipe(running, dial, address, cmd.InOrStdin(), cmd.OutOrStdout())
	stop()
	return errors.Join(err, <-ran, n.Close())
}

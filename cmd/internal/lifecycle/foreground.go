package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/tunnel"
)

func NewRunCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "run [CONF|NAME]",
		Short: "Bring a tunnel up and serve it in the foreground",
		Long: `Run does what up does, but stays in the foreground. On SIGTERM or SIGINT it takes
the tunnel down. It is for systemd (Type=notify) and containers.

With --netstack there is no interface. The tunnel ends in a network stack inside
this process, which needs no privileges. Programs reach the tunnel through the
services of the configuration or of the flags. Run accepts wireproxy's files, too.

If it cannot make an interface, as in a container without CAP_NET_ADMIN or
/dev/net/tun, run falls back to --netstack and says what does not work then. It
does not fall back with --netstack=false; if the configuration has a kill switch,
forwarding or hooks that change the firewall, because others rely on them; and
under systemd, where others wait for the interface.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			parent := daemon.TakeReporter()
			if f.recorder < 1 || f.recorder > maxRecorder {
				return parent.Failed(cli.NewUsageError(cmd, fmt.Errorf("--recorder %d: want 1 to %d MiB", f.recorder, maxRecorder)))
			}
			if err := f.settle(cmd, args); err != nil {
				return parent.Failed(err)
			}
			return parent.Failed(runForeground(cmd, args, &f, parent))
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
	f.add(cmd)
	return cmd
}

// runForeground brings a node up and serves it. parent is nil unless this
// process is the one that up has put in the background.
func runForeground(cmd *cobra.Command, args []string, f *upFlags, parent *daemon.Reporter) error {
	if err := daemon.PrepareProcess(); err != nil {
		return err
	}
	if f.sessionKeys {
		tunnel.KeepSessionKeys()
	}
	metrics, err := f.listen(cmd)
	if err != nil {
		return err
	}
	path, err := naming.FindConfig(args)
	if err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	starting, started := cli.DuringStart(ctx)
	defer started()
	cfg, err := naming.LoadConfig(starting, path)
	if err != nil {
		return err
	}
	// Nobody reading the steps, as in `wgnode up wg0 | head -1`, is no reason to
	// stop half-way. Caught, unlike ignored, it is as before for the hooks.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	handler, err := f.log.Open(cmd, parent != nil)
	if err != nil {
		return err
	}
	log, steps := slog.New(handler), daemon.NewStepLines(cmd, f.quiet, f.verbose)
	defer steps.Flush()
	services, err := f.services.services()
	if err != nil {
		return err
	}
	if cfg.Services.Stdio != "" && parent != nil {
		return cli.WithHint(fmt.Errorf("%s: STDIOTunnel: a process in the background has no standard input", path), "wgnode run "+path)
	}
	manager := daemon.TakeNotifier()
	n, err := node.Start(starting, cfg, node.Options{
		Netstack: f.netstack,
		// Who waits to be told that it is ready waits for the interface.
		FallBack: !f.interfaced && manager == "",
		Explain:  f.explain, Out: steps, Shell: hook.Terminal(), Logger: log, RecorderBytes: int(f.recorder) << 20,
		Guardian: daemon.Guardian, Sender: naming.PassSocket, OpenTables: f.openTables, StaleAfter: f.stale, HistoryDir: f.historyDir(),
		Metrics: metrics.Listen, MetricsHosts: f.metrics.Hosts, MetricsWebConfig: metrics.WebConfig, Services: services})
	if err != nil {
		return refused(cmd, args, err, f.netstack)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	started()
	if err := errors.Join(steps.Ready(parent, &f.log, log.With("interface", n.Name())), manager.Tell("READY=1")); err != nil {
		stop() // it is served once more, for the hooks of going down
		return errors.Join(err, n.Run(ctx), n.Close())
	}
	go reloadOn(ctx, hangup, n, log)
	if f.explain && parent == nil {
		go func() {
			// The node runs whether the verdicts can be shown or not.
			if err := showVerdicts(ctx, cmd, n.Name()); err != nil && ctx.Err() == nil {
				cli.Report(cmd.ErrOrStderr(), err)
			}
		}()
	}
	stopping := context.AfterFunc(ctx, func() {
		if err := manager.Tell("STOPPING=1"); err != nil {
			log.Error("cannot report the end to the service manager", "error", err)
		}
	})
	defer stopping()
	piped := pipeStdio(ctx, stop, cmd, n, cfg.Services.Stdio)
	err = n.Run(ctx)
	stop()
	err = errors.Join(err, <-piped, n.Close())
	f.log.Ended(log.With("interface", n.Name()), err)
	return err
}

// pipeStdio joins standard input and output to target, if there is one, through the
// tunnel, and then ends all of it. The channel gets one value.
func pipeStdio(ctx context.Context, stop func(), cmd *cobra.Command, n *node.Node, target string) <-chan error {
	piped := make(chan error, 1)
	if target == "" {
		piped <- nil
		return piped
	}
	go func() {
		defer stop()
		dial := func(ctx context.Context, address string) (net.Conn, error) { return n.DialContext(ctx, "tcp", address) }
		piped <- pipe(ctx, dial, target, cmd.InOrStdin(), cmd.OutOrStdout())
	}()
	return piped
}

// reloadOn reloads n whenever a signal comes. What it has to say goes to the log.
func reloadOn(ctx context.Context, signals <-chan os.Signal, n *node.Node, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		var lines strings.Builder
		err := n.ReloadFile(ctx, "", &lines)
		for line := range strings.Lines(lines.String()) {
			log.Info("reload: " + strings.TrimSpace(line))
		}
		if err != nil {
			log.Error("reload failed, nothing was changed", "error", err)
		}
	}
}

// refused says what to type where a node with an interface may not be.
func refused(cmd *cobra.Command, args []string, err error, stack bool) error {
	var rights *link.RightsError
	if errors.As(err, &rights) {
		return cli.WithHint(err, append(rightsHints(cmd, rights), withoutInterface(cmd, args))...)
	}
	return explainRefusal(err, stack)
}

func explainRefusal(err error, stack bool) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok && p.Op == "mkdir" && strings.HasPrefix(rundir.Default(), p.Path) {
		return err // whose hint is mend's
	}
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 && !stack {
		return cli.WithHint(err, "run it as root, or without privileges: wgnode run CONF --netstack")
	}
	if errors.Is(err, node.ErrNeedsStack) {
		return cli.WithHint(err, "add --netstack; or leave it out, and use the network interface")
	}
	var refused config.Errors
	if errors.As(err, &refused) {
		return cli.WithHint(err, "nothing was changed")
	}
	return cli.WithHint(err, startHints(err)...)
}

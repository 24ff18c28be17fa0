package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/teardown"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/render"
)

// upFlags are the flags that up and run share.
type upFlags struct {
	explain, netstack bool
	interfaced        bool // an interface or nothing
	log               daemon.LogFlags
	metrics           cli.MetricsFlags
	recorder          uint // MiB
	sessionKeys       bool
	stale             time.Duration
	openTables        bool
	noHistory         bool
	services          serviceFlags
	quiet, verbose    bool
	dryRun, json      bool // of up alone
	ifNeeded          bool

	shared []*pflag.Flag // those that run has, too
}

// add gives cmd these flags. Those that only up has are added after it.
func (f *upFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.explain, "explain", false, "say why each step is there; then wait up to 15 s and show the verdict for each peer")
	cmd.Flags().BoolVar(&f.netstack, "netstack", false,
		"use a userspace network stack: no interface, no privileges; --netstack=false: require a real interface")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "do not print what is done, only what is wrong")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print a line for each route, also where they are many")
	f.services.add(cmd)
	cmd.Flags().BoolVar(&f.sessionKeys, "session-keys", false,
		"keep session keys in memory, for record --keys; anyone who gets them can decrypt recorded traffic")
	cmd.Flags().UintVar(&f.recorder, "recorder", probe.DefaultRecorderBytes>>20,
		"memory of the flight recorder in `MIB`: 1 holds some 8,000 events")
	f.log.Add(cmd)
	cmd.Flags().BoolVar(&f.noHistory, "no-history", false, "do not keep the states of peers for wgnode history")
	f.metrics.Add(cmd, "serve /healthz, /readyz and /metrics at `ADDR`: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH")
	cmd.Flags().DurationVar(&f.stale, "stale-after", 0, "see node.Options.StaleAfter")
	// These fail only for a flag that is not there.
	_ = cmd.Flags().MarkHidden("stale-after") // for tests
	_ = cmd.Flags().SetAnnotation("stale-after", cli.ZeroTime, []string{"yes"})
	cmd.Flags().BoolVar(&f.openTables, "open-tables", false, "see node.Options.OpenTables")
	_ = cmd.Flags().MarkHidden("open-tables") // for tests
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { f.shared = append(f.shared, flag) })
}

// newUpFlags are the flags of an up that has none.
func newUpFlags() *upFlags {
	f := new(upFlags)
	f.add(&cobra.Command{})
	return f
}

// maxRecorder is the most that a flight recorder may take, in MiB.
const maxRecorder = 4096

// verdictTime is how long --explain waits for verdicts.
const verdictTime = 15 * time.Second

func NewUpCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up [CONF|NAME]",
		Short: "Bring a tunnel up, in the background",
		Long: `Up brings up the tunnel that CONF describes, as wg-quick does, and returns when
packets can pass. CONF is the path of a .conf (wg-quick's format) or of a .toml
(wgnode's own). NAME means /etc/wireguard/NAME.conf, or NAME.toml if there is no
.conf. Without an argument it uses wgnode.toml in this folder, or else the only
.conf in /etc/wireguard; a .toml there must be named. A process stays in the background; wgnode down ends it.

Each step is printed as it is done; of more than 20 routes in a row there is one line,
unless --verbose is given. If one fails, or on Ctrl-C, all is undone but what
PreUp and PostUp hooks did: those that ran are listed. As with wg-quick, PreDown and
PostDown do not run then.

An interface needs root, or a container with CAP_NET_ADMIN and /dev/net/tun.
--netstack needs no privileges and makes no interface: see wgnode run.`,
		Example: "  wgnode up wg0\n  wgnode up ./wg0.conf --explain\n  wgnode up wg0 --dry-run --explain",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.settle(cmd, args); err != nil {
				return err
			}
			if !f.netstack {
				if err := needInterface(cmd, args, f.dryRun); err != nil {
					return err
				}
			}
			path, err := naming.FindConfig(args)
			if err != nil {
				return err
			}
			if f.dryRun {
				return dryRun(cmd, path, &f)
			}
			if _, err := f.listen(cmd); err != nil {
				return err
			}
			if f.json {
				return cli.NewUsageError(cmd, errors.New("--json needs --dry-run"))
			}
			name, err := naming.InterfaceOf(path)
			if err != nil {
				return err
			}
			child, err := f.childArgs(path)
			if err != nil {
				return err
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			if f.ifNeeded {
				if up, err := isUpAsIn(ctx, cmd, name, path, f.quiet); up || err != nil {
					return err
				}
			}
			if err := daemon.Background(ctx, daemon.Launch{Args: child}); err != nil {
				return err
			}
			if !f.explain {
				return nil
			}
			return showVerdicts(ctx, cmd, name)
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the steps, change nothing, run no hooks")
	cmd.Flags().BoolVar(&f.ifNeeded, "if-needed", false, "succeed if the tunnel is up already, and as CONF says")
	cmd.Flags().BoolVar(&f.json, "json", false, "with --dry-run: print the steps as JSON")
	return cmd
}

// historyDir is where the states of peers are kept, "" for nowhere.
func (f *upFlags) historyDir() string {
	if f.noHistory {
		return ""
	}
	return history.Dir()
}

// listen is where --metrics says that health and metrics are served.
func (f *upFlags) listen(cmd *cobra.Command) (exporter.Place, error) { return f.metrics.Place(cmd) }

// settle finds out whether there is to be an interface.
func (f *upFlags) settle(cmd *cobra.Command, args []string) error {
	services, err := f.services.services()
	if err != nil {
		return cli.NewUsageError(cmd, err)
	}
	if _, err := f.log.Check(cmd); err != nil {
		return err
	}
	f.interfaced = cmd.Flags().Changed("netstack") && !f.netstack
	f.netstack = f.netstack || !f.interfaced && (!cli.OnLinux || services.Any() || describesStack(args))
	if f.netstack && f.dryRun {
		return cli.NewUsageError(cmd, errors.New("--dry-run shows the changes to this host; without an interface there are none"))
	}
	return nil
}

// childArgs are the arguments of the process in the background: run, with the values of all flags
// that it shares with up. Its command line says how it was started: bundle reads it, and people do.
func (f *upFlags) childArgs(path string) ([]string, error) {
	if err := f.log.MakeAbsolute(); err != nil {
		return nil, err
	}
	args := []string{"run", path}
	for _, flag := range f.shared {
		switch several, ok := flag.Value.(pflag.SliceValue); {
		case flag.Name == "netstack":
			args = append(args, fmt.Sprintf("--netstack=%t", f.netstack)) // it must not choose by itself
		case ok:
			for _, v := range several.GetSlice() {
				args = append(args, "--"+flag.Name, v)
			}
		case flag.Value.String() == flag.DefValue:
		case flag.Value.Type() == "bool":
			args = append(args, "--"+flag.Name)
		default:
			args = append(args, "--"+flag.Name, flag.Value.String())
		}
	}
	return args, nil
}

// showVerdicts waits until each peer that should be reachable has a verdict,
// and prints the ladders. The tunnel stays up whatever they say.
func showVerdicts(ctx context.Context, cmd *cobra.Command, name string) error {
	c, err := running.Dial(name)
	if err != nil {
		return err
	}
	report, err := c.Doctor(ctx, explain.DoctorRequest{For: verdictTime, Provoke: true, Settled: true})
	if err != nil {
		return fmt.Errorf("judge the peers of %s: %w", name, err)
	}
	return render.Doctor(cmd.OutOrStdout(), report, cli.TextOptions(cmd))
}

func NewDownCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "down [CONF|NAME]",
		Short: "Take a tunnel down",
		Long: `Down takes down a tunnel that wgnode up or wgnode run brought up, and undoes
exactly what they did. It also cleans up after a process that was killed. NAME
can be omitted if only one node runs.

The hooks PreDown and PostDown are read from the file as it is now. If a PreDown
fails, the tunnel stays up.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := nodeToEnd(cmd, args)
			if errors.Is(err, naming.ErrNoNode) && os.Geteuid() != 0 {
				return cli.BecomeRoot(cmd)
			}
			var faults config.Errors
			if errors.As(err, &faults) {
				return cli.WithHint(err, "the name of the interface does as well: wgnode down NAME")
			}
			if err != nil {
				return err
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			out, done := cli.UntilOutput(cmd, cmd.ErrOrStderr(), "waiting for %s to go down", name)
			fold := &cli.FoldedLines{To: out}
			if !verbose {
				out = fold
			}
			err = teardown.Down(ctx, name, teardown.Options{Out: out, Shell: hook.Terminal()})
			done()
			if ferr := fold.Flush(); err == nil {
				err = ferr
			}
			switch {
			case errors.Is(err, teardown.ErrNotUp) && os.Geteuid() != 0:
				return cli.BecomeRoot(cmd) // those of this user are not all
			case errors.Is(err, teardown.ErrNotUp):
				return notUp(cmd, name)
			}
			if stopped := naming.WhileStopped(err); stopped != nil {
				return stopped
			}
			return err
		},
		ValidArgsFunction: naming.CompleteDown,
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print a line for each route, also where they are many")
	return cmd
}

// nodeToEnd is the node that down is about. One that was killed can be taken down,
// too.
func nodeToEnd(cmd *cobra.Command, args []string) (string, error) {
	began, err := running.Began()
	if err != nil {
		return "", err
	}
	return naming.NodeToChange(cmd, args, naming.BeganNames(began))
}

// notUp words what is up by that name instead, as far as that can be told.
func notUp(cmd *cobra.Command, name string) error {
	if k, err := running.Find(name); err == nil && k != nil && k.State != running.StateRunning {
		return naming.Unusable(cmd, k)
	}
	if kernelnode.IsDevice(name) || naming.ServedElsewhere(name) {
		return cli.WithHint(fmt.Errorf("`%s' is not a WireGuard interface that wgnode brought up", name), "to take it down: wg-quick down "+name)
	}
	return naming.NoTunnel(name)
}

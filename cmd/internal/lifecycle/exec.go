package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/confine"
	"github.com/wgnode/wgnode/probe"
)

// Exit statuses of exec when the command has none, as env(1) and timeout(1) have
// them.
const (
	statusNotStarted    = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

func NewExecCommand() *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] CONF|NAME [--] COMMAND [ARG]...",
		Short: "Run a command whose only network is a tunnel, without privileges",
		Long: `Exec runs COMMAND in a network of its own that holds nothing but the tunnel of
CONF: its addresses, the routes of its AllowedIPs, its name servers. Whatever the
command does, no packet and no DNS query leaves outside of the tunnel, not even those of a
static program or of one that ignores proxies. It cannot reach what is not in
AllowedIPs. The host's network does not change. No privileges are needed, only
/dev/net/tun and a kernel that lets users create namespaces.

The command has this terminal, folder and user. When it ends, so does the tunnel;
processes that it left in the background lose their network. If wgnode is killed,
so is the command. Signals to wgnode are forwarded to it. Explain, doctor and
watch work meanwhile, and wgnode down NAME ends the command with SIGTERM.

Hooks, Table, kill_switch and other settings for a host's own interface are
ignored; exec names each. Programs that already run outside are not confined: a
browser or desktop service that the command only calls uses its own network. So
exec does not confine a command of root: it cannot enter the host's network, but it
can have other programs of root use that. As root, exec protects from mistakes only.

Exit status: that of the command; if a signal ended it, wgnode ends by the same
signal. 125 if the tunnel failed, 126 if COMMAND cannot be run, 127 if it does
not exist.`,
		Example: "  wgnode exec wg0 curl https://example.com\n  wgnode exec ./wg0.conf -- bash\n" +
			"  wgnode exec --quiet ./wg0.conf -- dig example.com",
		Args: execArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if confine.Inside() {
				if err := confine.Enter(); err != nil {
					return cli.ExitStatus(statusNotStarted) // it is told outside
				}
			}
			if f.recorder < 1 || f.recorder > maxRecorder {
				return cli.NewUsageError(cmd, fmt.Errorf("--recorder %d: want 1 to %d MiB", f.recorder, maxRecorder))
			}
			conf, command := splitExec(args)
			return runExec(cmd, conf, command, &f)
		},
		ValidArgsFunction: completeExec,
	}
	// What follows CONF is the command's.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "do not name the settings of CONF that are ignored, do not warn")
	cmd.Flags().UintVar(&f.recorder, "recorder", probe.DefaultRecorderBytes>>20,
		"memory of the flight recorder in `MIB`: 1 holds some 8,000 events")
	f.log.Add(cmd)
	return cmd
}

type execFlags struct {
	quiet    bool
	recorder uint // MiB
	log      daemon.LogFlags
}

// splitExec takes the "--" out that may stand between CONF and the command.
func splitExec(args []string) (conf string, command []string) {
	conf, command = args[0], args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	return conf, command
}

func execArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 1 && args[1] != "--" && strings.HasPrefix(args[1], "-") {
		return fmt.Errorf("%s stands where the command should: flags of wgnode come before %s", args[1], args[0])
	}
	if len(args) > 1 && args[1] == "--" {
		args = append(args[:1:1], args[2:]...)
	}
	return cli.ArgsOfUse(cmd, args)
}

// completeExec completes CONF, the command, and files for its arguments.
func completeExec(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return naming.CompleteConfigs(cmd, args, toComplete)
	}
	_, command := splitExec(args)
	if len(command) > 0 || strings.Contains(toComplete, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return programs(toComplete), cobra.ShellCompDirectiveNoFileComp
}

// programs returns the programs of $PATH that begin so.
func programs(prefix string) []string {
	var names []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(dir) // as far as it can be read
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), prefix) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// runExec runs the command. It does not return if a signal ended that.
func runExec(cmd *cobra.Command, conf string, command []string, f *execFlags) error {
	path, err := exec.LookPath(command[0])
	if errors.Is(err, fs.ErrPermission) {
		return &cli.StatusError{Err: fmt.Errorf("run %s: permission denied", command[0]), Status: statusNotExecutable}
	}
	if err != nil {
		return &cli.StatusError{Err: fmt.Errorf("run %s: not found", command[0]), Status: statusNotFound}
	}
	signals := catchSignals()
	p, n, err := startExec(cmd, conf, f, path, command)
	if err != nil {
		return &cli.StatusError{Err: err, Status: statusNotStarted}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer stop()
	served := make(chan error, 1)
	go func() {
		err := n.Run(ctx)
		if ctx.Err() == nil {
			err = errors.Join(err, errors.New("the tunnel is gone: the command has no network any more"))
			cli.Report(cmd.ErrOrStderr(), err)
			err = nil
		}
		served <- err
	}()
	runErr := p.Exec()
	go forward(signals, p)
	end, err := p.Wait()
	stop()
	err = errors.Join(err, <-served, n.Close(), p.Close())
	switch {
	case runErr != nil:
		return &cli.StatusError{Err: errors.Join(runErr, err), Status: statusNotExecutable}
	case err != nil:
		// The command has run: its status counts more than how the tunnel ended.
		cli.Report(cmd.ErrOrStderr(), err)
	}
	return endLike(end)
}

// startExec starts the process that is to become the command, and the node that
// carries its packets.
func startExec(cmd *cobra.Command, conf string, f *execFlags, path string, command []string) (*confine.Process, *node.Node, error) {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	file, err := naming.FindConfig([]string{conf})
	if err != nil {
		return nil, nil, err
	}
	cfg, err := naming.LoadConfig(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	cfg.Services = config.Services{} // for those who are not inside
	log, err := f.log.Open(cmd, true)
	if err != nil {
		return nil, nil, err
	}
	p, err := confine.Start(path, command)
	if err != nil {
		return nil, nil, explainForbidden(err)
	}
	var out io.Writer = cmd.ErrOrStderr()
	if f.quiet {
		out = nil
	}
	makeLink := func(_ context.Context, mtu int) (*node.Link, error) {
		outlet, err := p.Furnish(confine.NetworkOf(cfg, mtu))
		if err != nil {
			return nil, err
		}
		for _, note := range outlet.Notes {
			if out != nil {
				fmt.Fprintln(out, "[!] "+note)
			}
		}
		return &node.Link{TUN: outlet.TUN, MTU: mtu, Prober: outlet}, nil
	}
	// The socket of wg(8) is in a folder of root's.
	opt := node.Options{MakeLink: makeLink, NoUAPI: os.Geteuid() != 0, Out: out, Logger: slog.New(log), RecorderBytes: int(f.recorder) << 20}
	err = daemon.PrepareProcess()
	var n *node.Node
	if err == nil {
		n, err = node.Start(ctx, cfg, opt)
	}
	if err != nil {
		return nil, nil, errors.Join(explainForbidden(err), p.Kill())
	}
	return p, n, nil
}

// explainForbidden says what to type where the system forbids it.
func explainForbidden(err error) error {
	var f *confine.ForbiddenError
	if !errors.As(err, &f) {
		return err
	}
	const otherwise = "or without namespaces, for programs that can use a proxy: wgnode run CONF --netstack"
	switch f.Setting {
	case confine.SettingAppArmor:
		self, serr := os.Executable()
		if serr != nil {
			self = "/usr/bin/wgnode"
		}
		return cli.WithHint(err, "allow it to this program alone:",
			fmt.Sprintf(`printf 'abi <abi/4.0>,\ninclude <tunables/global>\nprofile wgnode %s flags=(unconfined) {\n  userns,\n}\n' `+
				`| sudo tee /etc/apparmor.d/wgnode`, self),
			"sudo apparmor_parser -r /etc/apparmor.d/wgnode",
			"or to all programs: sudo sysctl "+f.Setting+"=0", otherwise)
	case confine.SettingUserns:
		return cli.WithHint(err, "sudo sysctl "+f.Setting+"=1", otherwise)
	case confine.SettingMaxUser, confine.SettingMaxNet, confine.SettingMaxMnt:
		return cli.WithHint(err, "sudo sysctl "+f.Setting+"=10000", otherwise)
	case confine.SettingSeccomp:
		return cli.WithHint(err, "in a container: docker run --security-opt seccomp=unconfined, or podman's; in Kubernetes "+
			"seccompProfile Unconfined", otherwise)
	case confine.SettingTUN:
		if errors.Is(err, fs.ErrNotExist) {
			return cli.WithHint(err, "sudo modprobe tun; in a container: --device /dev/net/tun", otherwise)
		}
		return cli.WithHint(err, "sudo chmod 666 /dev/net/tun, which is what it has on most systems: a device in a network of "+
			"one's own is all that one can make by it", otherwise)
	}
	return cli.WithHint(err, otherwise)
}

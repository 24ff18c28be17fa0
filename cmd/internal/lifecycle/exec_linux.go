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

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/confine"
)

// enterInside becomes the command, if this process is the one that is to. It returns then only
// if that fails.
func enterInside() error {
	if !confine.Inside() {
		return nil
	}
	return confine.Enter()
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

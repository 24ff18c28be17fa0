package naming

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// dialKernel is DialNode for a device of the kernel's. How much can be seen of it is said.
func dialKernel(cmd *cobra.Command, name string) (*control.Client, error) {
	c, err := kernelnode.Dial(cmd.Context(), name, kernelnode.Options{Sender: PassSocket})
	if stopped := WhileStopped(err); stopped != nil {
		return nil, stopped
	}
	if err != nil {
		return nil, KernelError(cmd, err)
	}
	status, err := c.Status(cmd.Context())
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", name, err)
	}
	return c, sayLevel(cmd, status)
}

// sayLevel says how much can be seen of a device of the kernel's, and why not all.
func sayLevel(cmd *cobra.Command, s *control.Status) error {
	past := ", from now on"
	if s.PID != os.Getpid() {
		past = ", with what `wgnode monitor` keeps"
	}
	if err := cli.Warn(cmd, "%s is the kernel's WireGuard: looking at level %s%s", s.Interface, s.Level, past); err != nil {
		return err
	}
	if s.Level == probe.LevelExact {
		return nil
	}
	return cli.Warn(cmd, "note: %s", s.Less)
}

// KernelError says what a device of the kernel's takes to be looked at.
func KernelError(cmd *cobra.Command, err error) error {
	denied := errors.Is(err, fs.ErrPermission) || errors.Is(err, kernelwg.ErrCopies) || errors.Is(err, bpf.ErrRights)
	if !denied {
		return err
	}
	const needs = "it takes CAP_NET_ADMIN to read the device, and to see its packets CAP_NET_RAW, " +
		"or CAP_BPF and CAP_PERFMON for more of them"
	if os.Geteuid() != 0 {
		return cli.WithHint(err, needs, cli.AsRoot(cmd))
	}
	return cli.WithHint(err, needs)
}

// NotOfKernel is the error for what only a node does, asked of a device of the kernel's; hint
// is what does it there.
func NotOfKernel(name, hint string) error {
	return cli.WithHint(&kernelnode.ReadOnlyError{Name: name}, hint)
}

// IsOnlyKernels reports whether a name is that of a device of the kernel's, and of no node.
func IsOnlyKernels(name string) bool {
	if !kernelnode.IsDevice(name) {
		return false
	}
	_, err := running.Dial(name)
	return errors.Is(err, rundir.ErrNotRunning)
}

// Lookable are the names of what can be looked at: nodes that run, and devices of the kernel's.
func Lookable() ([]string, error) {
	all, err := running.List()
	names := RunningOf(all)
	if len(names) > 0 {
		err = nil // the rest is no matter
	}
	return names, err
}

// deviceStatus is what a device says of itself, a userspace one or the kernel's.
func deviceStatus(name string) (*uapi.Status, error) {
	if kernelnode.IsDevice(name) && Served(name) != 0 {
		return kernelnode.Status(name)
	}
	status, errno := GetStatus(name)
	if errno != 0 {
		return nil, errno
	}
	return status, nil
}

// PeersOf are the peers of what can be looked at.
func PeersOf(ctx context.Context, name string) ([]control.PeerName, error) {
	c, err := running.Dial(name)
	switch {
	case err == nil:
		return c.Peers(ctx)
	case errors.Is(err, rundir.ErrNotRunning) && kernelnode.IsDevice(name):
		return kernelnode.Peers(name)
	}
	return nil, err
}

// quickDown is how a device of the kernel's is taken down.
func quickDown(name string) string {
	return "to take it down: wg-quick down " + config.ShellQuote(name) + ", or what brought it up"
}

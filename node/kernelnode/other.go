//go:build !linux

package kernelnode

import (
	"context"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe/host"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Devices of this system's kernel are not known: there are none.

var errSystem = host.NeedsLinux("a look at a kernel's WireGuard")

// Devices are the names of the WireGuard devices of this host's kernel: none.
func Devices() ([]string, error) { return nil, nil }

// IsDevice reports whether the kernel's WireGuard serves an interface.
func IsDevice(string) bool { return false }

// Status is what the kernel tells of one of its devices.
func Status(string) (*uapi.Status, error) { return nil, errSystem }

// Peers are the peers of a device of the kernel's.
func Peers(string) ([]control.PeerName, error) { return nil, errSystem }

// Dial returns a client for a device of the kernel's.
func Dial(context.Context, string, Options) (*control.Client, error) { return nil, errSystem }

// Monitor looks at devices of the kernel's.
func Monitor(context.Context, MonitorOptions) error { return errSystem }

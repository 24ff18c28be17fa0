//go:build !linux

package kernelwg

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host"
)

// Names are those of the kernel's WireGuard devices: none that this program knows.
func Names() ([]string, error) { return nil, nil }

// Links are those devices, by name.
func Links() (map[string]Link, error) { return nil, nil }

// Read reads what the kernel tells of a device.
func Read(name string) (*Device, error) {
	return nil, fmt.Errorf("ask the kernel for the WireGuard device %s: %w", name, host.NeedsLinux("a look at a kernel's WireGuard"))
}

// Possible says which level this host allows for a device of the kernel's, and why not exact.
func Possible() (probe.Level, error) {
	return probe.LevelCapture, host.NeedsLinux("a look at a kernel's WireGuard")
}

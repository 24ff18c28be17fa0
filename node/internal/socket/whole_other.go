//go:build !linux

package socket

import (
	"syscall"

	"github.com/wgnode/wgnode/probe/host"
)

// DontFragment would have packets leave whole.
func DontFragment(syscall.Conn, bool) error { return host.NeedsLinux("a probe that is not cut") }

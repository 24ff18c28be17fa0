//go:build !linux

package device

import (
	"os"

	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe/host"
)

// OpenElsewhere would take over a TUN device.
func OpenElsewhere(file *os.File, _ int) (tun.Device, error) {
	_ = file.Close() // nothing was written
	return nil, host.NeedsLinux("a TUN device that was made elsewhere")
}

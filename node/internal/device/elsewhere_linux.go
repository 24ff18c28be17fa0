package device

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/tunnel/tundev"
)

// OpenElsewhere takes over a TUN device that may be in another network namespace.
func OpenElsewhere(file *os.File, mtu int) (tun.Device, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if cerr := file.Close(); err == nil && cerr != nil {
		return nil, errors.Join(fmt.Errorf("use TUN device: %w", cerr), unix.Close(fd))
	}
	if err != nil {
		return nil, fmt.Errorf("use TUN device: %w", err)
	}
	dev, err := tundev.FromElsewhere(fd, mtu)
	if err != nil {
		return nil, fmt.Errorf("use TUN device: %w", err)
	}
	return dev, nil
}

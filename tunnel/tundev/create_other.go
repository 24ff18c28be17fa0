//go:build !linux

package tundev

import (
	"errors"
	"fmt"
	"os"

	"golang.zx2c4.com/wireguard/tun"
)

// Create makes wireguard-go's own device, the only one there is here.
func Create(name string, mtu int) (tun.Device, error) { return tun.CreateTUN(name, mtu) }

// FromFile would make a device of a descriptor that is open already.
func FromFile(*os.File, int) (tun.Device, error) {
	return nil, fmt.Errorf("take over a TUN device: %w", errors.ErrUnsupported)
}

// Fallback is wireguard-go's own device where a faster one was refused: here there is no other.
type Fallback struct {
	tun.Device
	Cause error
}

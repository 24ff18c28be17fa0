//go:build !linux

package tundev

import "golang.zx2c4.com/wireguard/tun"

// Create makes wireguard-go's own device, the only one there is here.
func Create(name string, mtu int) (tun.Device, error) { return tun.CreateTUN(name, mtu) }

//go:build !linux

package udp

import "golang.zx2c4.com/wireguard/conn"

// New returns wireguard-go's Bind for this system. It ignores its options:
// nothing here can read a socket's errors.
func New(Options) conn.Bind {
	return conn.NewDefaultBind()
}

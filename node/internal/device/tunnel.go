// Package device opens the tunnel of a node over a TUN device, and what belongs to it: the UDP sockets,
// and the socket by which wg(8) talks to it.
package device

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// DefaultMTU in bytes is Ethernet's 1500 less what WireGuard adds at most.
const DefaultMTU = 1420

// Options are of a tunnel.
type Options struct {
	// RecorderBytes is the memory of the flight recorder; probe.DefaultRecorderBytes if 0.
	RecorderBytes int
	// Bind carries the encrypted packets; tunnel/udp's if nil. The tunnel owns it from then on.
	Bind conn.Bind
	// SendICMP is that of [tunnel.Options].
	SendICMP func(to netip.Addr, message []byte) error
	Log      *slog.Logger
}

// NewTunnel makes the tunnel over dev, which is closed if that fails.
func NewTunnel(dev tun.Device, o Options) (*tunnel.Tunnel, error) {
	var holder atomic.Pointer[tunnel.Tunnel]
	t, err := tunnel.New(dev, o.newBind(&holder), tunnel.Options{
		RecorderBytes: o.RecorderBytes,
		SendICMP:      o.SendICMP,
		Debugf: func(format string, args ...any) {
			if o.Log.Enabled(context.Background(), slog.LevelDebug) {
				o.Log.Debug(fmt.Sprintf(format, args...))
			}
		},
		Errorf: func(format string, args ...any) { o.Log.Error(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		_ = dev.Close() // the first error says why
		return nil, err
	}
	holder.Store(t)
	return t, nil
}

// newBind makes the bind that carries the encrypted packets. What it is told by
// ICMP goes to the tunnel that is stored in t, once it is.
func (o *Options) newBind(t *atomic.Pointer[tunnel.Tunnel]) conn.Bind {
	if o.Bind != nil {
		return o.Bind
	}
	return udp.New(udp.Options{OnICMP: func(e udp.ICMPError) {
		if t := t.Load(); t != nil {
			t.ICMP(e)
		}
	}})
}

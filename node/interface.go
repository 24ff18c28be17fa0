package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/tundev"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// defaultMTU in bytes is Ethernet's 1500 less what WireGuard adds at most.
const defaultMTU = 1420

// kernelDevice is the node as the plan sees it: a TUN device of the kernel's,
// served by this process.
type kernelDevice struct{ n *Node }

func (d kernelDevice) Create(_ context.Context, name string) error {
	dev, err := tundev.Create(name, defaultMTU)
	if err != nil {
		return fmt.Errorf("create TUN device %s: %w", name, err)
	}
	if err := d.n.newTunnel(d.n.steady(dev, name), sendICMP); err != nil {
		return err
	}
	return d.n.serveUAPI(nil)
}

func (d kernelDevice) Configure(_ context.Context, mark uint32) error { return d.n.configure(mark) }

// newTunnel makes the tunnel over dev, which is closed if that fails. The last argument is
// that of [tunnel.Options].
func (n *Node) newTunnel(dev tun.Device, send func(to netip.Addr, message []byte) error) error {
	var holder atomic.Pointer[tunnel.Tunnel]
	log := n.opt.Logger.With("interface", n.name)
	t, err := tunnel.New(dev, n.opt.newBind(&holder), tunnel.Options{
		RecorderBytes: n.opt.RecorderBytes,
		SendICMP:      send,
		Debugf: func(format string, args ...any) {
			if log.Enabled(context.Background(), slog.LevelDebug) {
				log.Debug(fmt.Sprintf(format, args...))
			}
		},
		Errorf: func(format string, args ...any) { log.Error(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		_ = dev.Close() // the first error says why
		return err
	}
	holder.Store(t)
	n.tun = t
	return nil
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

// steady returns dev, or what keeps its false alarms from the device if it is
// wireguard-go's own.
func (n *Node) steady(dev tun.Device, name string) tun.Device {
	if n.fellBack(dev, name) {
		return newSteadyTUN(dev, name)
	}
	return dev
}

// fellBack reports whether dev is wireguard-go's own, and says why.
func (n *Node) fellBack(dev tun.Device, name string) bool {
	f, ok := dev.(*tundev.Fallback)
	if ok {
		n.opt.Logger.Warn("slower path to the interface: the kernel refuses what a faster one needs", "interface", name, "error", f.Cause)
	}
	return ok
}

// steadyTUN keeps false alarms from the device. It opens its sockets before the
// interface is up, so that a port that is taken is an error of Start's; but a
// TUN device tells of itself whatever it happens to see, "down" at first, and
// the device would close them again; or "up", at which the device would begin to
// shake hands while it is still being configured, unseen by the tunnel. (The
// module finds out whether the interface is up by an empty write, of which the
// kernel says the same either way if packets have virtio headers.) An "up" is
// passed on only if the interface is up, a "down" only if it has been and is no
// more.
type steadyTUN struct {
	tun.Device
	events chan tun.Event
}

func newSteadyTUN(dev tun.Device, name string) *steadyTUN {
	s := &steadyTUN{dev, make(chan tun.Event)}
	go func() {
		defer close(s.events)
		seenUp := false
		for e := range dev.Events() {
			if e&tun.EventUp != 0 {
				if isUp(name) {
					seenUp = true
				} else {
					e &^= tun.EventUp
				}
			}
			if e&tun.EventDown != 0 && (!seenUp || isUp(name)) {
				e &^= tun.EventDown
			}
			if e != 0 {
				s.events <- e
			}
		}
	}()
	return s
}

func (s *steadyTUN) Events() <-chan tun.Event { return s.events }

func isUp(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagUp != 0
}

package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"syscall"

	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/rundir"
)

// kernelDevice is the node as the plan sees it: a TUN device of the kernel's,
// served by this process.
type kernelDevice struct{ n *Node }

func (d kernelDevice) Create(_ context.Context, name string) error {
	dev, err := device.Create(name)
	if err != nil {
		return err
	}
	if err := d.n.newTunnel(device.Steady(dev, name, d.n.log()), device.SendICMP); err != nil {
		return err
	}
	return d.n.serveUAPI(nil)
}

func (d kernelDevice) Configure(_ context.Context, mark uint32) error { return d.n.configure(mark) }

// newTunnel makes the tunnel over dev, which is closed if that fails. The last argument is
// that of [tunnel.Options].
func (n *Node) newTunnel(dev tun.Device, send func(to netip.Addr, message []byte) error) (err error) {
	n.tun, err = device.NewTunnel(dev, device.Options{RecorderBytes: n.opt.RecorderBytes, Bind: n.opt.Bind, SendICMP: send, Log: n.log()})
	return err
}

// log is the logger of what is said of this interface.
func (n *Node) log() *slog.Logger { return n.opt.Logger.With("interface", n.name) }

// serveUAPI opens the socket of WireGuard's own protocol, or takes over an open
// one, and answers from then on.
func (n *Node) serveUAPI(socket *os.File) error {
	if n.opt.NoUAPI {
		return nil
	}
	l, err := device.ListenUAPI(n.name, socket)
	if !n.opt.onHost() && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		// Its folder is root's, and this kind of node can do without.
		n.say("[!] wg(8) will not see %s: %v", n.name, err)
		return nil
	}
	if err != nil {
		return err
	}
	n.uapi = device.ServeUAPI(n.tun, l)
	return nil
}

// listenControl opens the control socket. From then on clients can connect; they
// are answered once Run has begun.
func (n *Node) listenControl() error {
	if n.opt.NoControl {
		return nil
	}
	l, err := rundir.Listen(rundir.Socket(n.opt.RunDir, n.name))
	if err != nil {
		return err
	}
	n.control = l
	return nil
}

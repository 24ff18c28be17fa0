package node

import (
	"errors"
	"os"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/rundir"
)

// DeviceFiles are what a device can be given ready-made, already open, by the
// process that starts it. What is nil is opened.
type DeviceFiles struct {
	TUN  *os.File // a TUN device; the descriptor must have been non-blocking before it became a File
	UAPI *os.File // a listening socket, at the place where wg(8) looks for it
}

// StartDevice makes a bare device, as wireguard-go does: a TUN device, down and
// without an address, and its UAPI socket, by which others give it keys and
// peers. It opens its UDP sockets when the interface is brought up. There is no
// journal: the interface goes with the process. The node owns the files from
// then on, also if it fails.
func StartDevice(name string, o Options, files DeviceFiles) (*Node, error) {
	n := newNode(&config.Config{Name: name}, o)
	n.bare = true
	if err := n.startDevice(files); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) startDevice(files DeviceFiles) error {
	dev, err := device.OpenTUN(n.name, files.TUN)
	if err != nil {
		return err
	}
	if real, err := dev.Name(); err == nil { // a ready-made one has its own
		n.name, n.Config().Name = real, real
	}
	device.FellBack(dev, n.log())
	if err := n.newTunnel(dev, nil); err != nil {
		return err
	}
	if err := n.serveUAPI(files.UAPI); err != nil {
		return err
	}
	if n.metrics, err = exporter.Open(exporter.Place{}, n.exported()); err != nil {
		return err
	}
	if n.opt.NoControl {
		return nil
	}
	unlock, err := rundir.Lock(n.opt.RunDir)
	if err == nil {
		defer unlock()
		n.control, err = rundir.Listen(rundir.Socket(n.opt.RunDir, n.name))
	}
	if err != nil {
		// What wireguard-go can do must work wherever it does.
		n.opt.Logger.Error("control socket failed: this device cannot be watched", "interface", n.name, "error", err)
		n.control = nil
	}
	return nil
}

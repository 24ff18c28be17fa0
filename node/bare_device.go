package node

import (
	"context"
	"errors"
	"net/netip"
	"os"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/task"
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
	m := bareDevice{files: files}
	n := newNode(&config.Config{Name: name}, o, m)
	if err := m.start(context.Background(), n); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

var errNoConfig = errors.New("it was not made from a configuration")

// bareDevice is the mode of an interface that others configure.
type bareDevice struct {
	interfaceOnly
	files DeviceFiles
}

func (bareDevice) traits() traits { return traits{onHost: true, hooks: true} }

func (m bareDevice) start(_ context.Context, n *Node) error {
	dev, err := device.OpenTUN(n.name, m.files.TUN)
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
	if err := n.serveUAPI(m.files.UAPI); err != nil {
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

func (bareDevice) tasks(*Node) []task.Task { return nil }

func (bareDevice) configTasks(*Node, *endpoint.Follower) []task.Task { return nil }

func (bareDevice) reload(context.Context, *reload) error { return errNoConfig }

func (bareDevice) subject(n *Node, s *explain.Subject) { n.subjectOnHost(s) }

func (bareDevice) addresses(*config.Config) []netip.Addr { return address.OfHost() }

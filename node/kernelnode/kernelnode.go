//go:build linux

package kernelnode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/kerneltunnel"
	"github.com/wgnode/wgnode/node/peernames"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Devices are the names of the WireGuard devices of this host's kernel, in order. That is
// for everybody to know.
func Devices() ([]string, error) { return kernelwg.Names() }

// IsDevice reports whether the kernel's WireGuard serves an interface.
func IsDevice(name string) bool {
	names, err := Devices()
	return err == nil && slices.Contains(names, name)
}

// Status is what the kernel tells of one of its devices, without secrets. The error
// wraps [kernelwg.ErrNotKernel] if there is none of the name.
func Status(name string) (*uapi.Status, error) {
	d, err := kernelwg.Read(name)
	if err != nil {
		return nil, err
	}
	return kerneltunnel.StatusOf(d), nil
}

// Peers are the peers of a device of the kernel's, as a node tells its own.
func Peers(name string) ([]control.PeerName, error) {
	d, err := kernelwg.Read(name)
	if err != nil {
		return nil, err
	}
	names, _ := peernames.Find(name)
	var peers []control.PeerName
	for i := range d.Peers {
		peers = append(peers, control.PeerName{PublicKey: d.Peers[i].Public, Name: names[d.Peers[i].Public]})
	}
	return peers, nil
}

// Dial returns a client for a WireGuard device of the kernel's, as [rundir.Dial] does for a node.
// If a [Monitor] keeps its past, that is asked. Else this process looks at it until ctx
// ends, from now on. The error wraps [kernelwg.ErrNotKernel] if the kernel has none of the name.
func Dial(ctx context.Context, name string, o Options) (*control.Client, error) {
	o.settle()
	c, err := dialMonitor(o.RunDir, name)
	if err != nil || c != nil {
		return c, err
	}
	s, err := open(name, &o)
	if err != nil {
		return nil, err
	}
	l := newPairListener(name)
	go func() {
		if err := s.serve(ctx, l); err != nil {
			o.Logger.Error("a device of the kernel's is not looked at any more", "interface", name, "error", err)
		}
	}()
	return control.NewClient(name, l.dial), nil
}

// monitorDir is where a monitor has its sockets: apart from those of nodes, which may have the
// same names.
func monitorDir(dir string) string { return filepath.Join(dir, "kernel") }

// dialMonitor returns a client of the monitor of a device, nil if none runs for it.
func dialMonitor(dir, name string) (*control.Client, error) {
	dir = monitorDir(dir)
	if err := rundir.Check(dir); err != nil {
		return nil, fmt.Errorf("monitor of %s: %w", name, err)
	}
	dial := rundir.Dialer(name, rundir.Socket(dir, name))
	conn, err := dial(context.Background())
	if errors.Is(err, rundir.ErrNotRunning) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close() // nothing was sent
	if here, err := sameNetwork(conn); err != nil || !here {
		return nil, err // it is of another device, which has the name elsewhere
	}
	return control.NewClient(name, dial), nil
}

// sameNetwork reports whether who serves a socket is in this process's network namespace.
func sameNetwork(c *net.UnixConn) (bool, error) {
	server, err := unixsocket.Peer(c)
	if err != nil {
		return false, err
	}
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return false, fmt.Errorf("find the network namespace: %w", err)
	}
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", server.PID))
	if err != nil {
		return false, nil // it cannot be told: who is asked would answer for another
	}
	return os.SameFile(own, its), nil
}

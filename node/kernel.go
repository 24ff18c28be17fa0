package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/kerneltunnel"
	"github.com/wgnode/wgnode/node/peernames"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// KernelOptions say how a WireGuard device of the kernel's is looked at.
type KernelOptions struct {
	// Sender is that of [Options].
	Sender func() *exec.Cmd
	// RecorderBytes is the memory of the flight recorder; probe.DefaultRecorderBytes if 0.
	RecorderBytes int
	// Logger gets what happens meanwhile. Nil is for none.
	Logger *slog.Logger
	// RunDir is the folder below which a monitor has its sockets; [RunDir] if empty.
	RunDir string
}

func (o *KernelOptions) settle() {
	if o.RecorderBytes == 0 {
		o.RecorderBytes = probe.DefaultRecorderBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RunDir == "" {
		o.RunDir = rundir.Default()
	}
}

// KernelDevices are the names of the WireGuard devices of this host's kernel, in order. That is
// for everybody to know.
func KernelDevices() ([]string, error) { return kernelwg.Names() }

// IsKernelDevice reports whether the kernel's WireGuard serves an interface.
func IsKernelDevice(name string) bool {
	names, err := KernelDevices()
	return err == nil && slices.Contains(names, name)
}

// KernelStatus is what the kernel tells of one of its devices, without secrets. The error
// wraps [kernelwg.ErrNotKernel] if there is none of the name.
func KernelStatus(name string) (*uapi.Status, error) {
	d, err := kernelwg.Read(name)
	if err != nil {
		return nil, err
	}
	return kerneltunnel.StatusOf(d), nil
}

// KernelPeers are the peers of a device of the kernel's, as a node tells its own.
func KernelPeers(name string) ([]control.PeerName, error) {
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

// DialKernel returns a client for a WireGuard device of the kernel's, as [Dial] does for a node.
// If a [MonitorKernel] keeps its past, that is asked. Else this process looks at it until ctx
// ends, from now on. The error wraps [kernelwg.ErrNotKernel] if the kernel has none of the name.
func DialKernel(ctx context.Context, name string, o KernelOptions) (*control.Client, error) {
	o.settle()
	c, err := dialMonitor(o.RunDir, name)
	if err != nil || c != nil {
		return c, err
	}
	s, err := openKernel(name, &o)
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
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", server.Pid))
	if err != nil {
		return false, nil // it cannot be told: who is asked would answer for another
	}
	return os.SameFile(own, its), nil
}

// kernelServer serves one device of the kernel's.
type kernelServer struct {
	t      *kerneltunnel.Tunnel
	keeper *explain.Keeper
	mux    *http.ServeMux
	log    *slog.Logger
}

// openKernel begins to look at a device.
func openKernel(name string, o *KernelOptions) (*kernelServer, error) {
	t, err := kerneltunnel.OpenSized(name, o.RecorderBytes)
	if err != nil {
		return nil, err
	}
	t.Sender = o.Sender
	s := &kernelServer{t, explain.NewKeeper(t.Subject, t.Settle), http.NewServeMux(), o.Logger}
	control.Handle(s.mux, lookedKernel{t, s.keeper}, o.Logger)
	for _, what := range []string{"reload", "end", "connect"} {
		s.mux.HandleFunc("POST /v1/"+what, s.refuse)
	}
	return s, nil
}

func (s *kernelServer) refuse(w http.ResponseWriter, _ *http.Request) {
	control.Refuse(w, http.StatusConflict, &KernelOnlyError{s.t.Name()})
}

// serve answers those who connect to l until ctx ends or the device goes away, and then looks at it
// no longer.
func (s *kernelServer) serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := s.whileThere(ctx, func(ctx context.Context) error { return control.Serve(ctx, s.mux, l) })
	s.keeper.Close()
	err = errors.Join(err, s.t.Close())
	if err != nil {
		return fmt.Errorf("serve %s: %w", s.t.Name(), err)
	}
	return nil
}

// whileThere calls fn with a context that ends with ctx, and with the device.
func (s *kernelServer) whileThere(ctx context.Context, fn func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watcher, changed, err := linkAnnouncements()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	for {
		if !thereIs(s.t.Index()) {
			stop()
		}
		select {
		case err := <-ended:
			return errors.Join(err, watcher.Close())
		case <-changed:
		}
	}
}

// KernelOnlyError: a device of the kernel's was asked for what only a node does.
type KernelOnlyError struct{ Name string }

func (e *KernelOnlyError) Error() string {
	return e.Name + " is a WireGuard device of the kernel's: it can be looked at, and is not wgnode's to change"
}

// lookedKernel is a device as package control serves it.
type lookedKernel struct {
	*kerneltunnel.Tunnel
	keeper *explain.Keeper
}

func (l lookedKernel) Keeper() *explain.Keeper { return l.keeper }

var _ control.Served = lookedKernel{}

// Status says what is known of the device. What it does not know of packets it does not say:
// such are the counts of what was dropped.
func (l lookedKernel) Status() (*control.Status, error) {
	device, err := l.Tunnel.Status()
	if err != nil {
		return nil, err
	}
	r := l.Recorder()
	s := &control.Status{Interface: l.Name(), Config: l.Config(), PID: os.Getpid(), Level: l.Level(),
		PublicKey: device.PublicKey, ListenPort: device.ListenPort, Peers: []control.PeerStatus{}}
	s.Counters.Recorded, s.Counters.Unrecorded = r.Recorded(), r.Lost()+l.Unseen()
	if less := l.Less(); less != nil {
		s.Less = less.Error()
	}
	said := device.ByKey()
	for _, p := range l.Peers() {
		one := control.PeerStatus{PublicKey: p.Key, Name: p.Name, Configured: p.Configured, Endpoint: p.Endpoint,
			Handshake: p.Established, Drops: make(map[string]uint64)}
		for reason, count := range p.Drops {
			one.Drops[reason.String()] = count
		}
		if is := said[p.Key]; is != nil {
			one.AllowedIPs = is.AllowedIPs
		}
		s.Peers = append(s.Peers, one)
	}
	return s, nil
}

func (lookedKernel) Addresses() []netip.Addr { return hostAddrs() }

func (l lookedKernel) Unseen() uint64 { return l.Lost() }

// Tap keeps nothing: what the kernel shows of packets is taken in, not kept.
func (lookedKernel) Tap(int) control.Tap { return control.NoTap{} }

var errKernelKeys = errors.New("the keys of the kernel's WireGuard are not read: nothing can be decrypted")

func (lookedKernel) Keys() (control.Keys, error) { return nil, errKernelKeys }

// thereIs reports whether the kernel has the device with a number, here. Where that cannot be
// told it is taken to.
func thereIs(index uint32) bool {
	links, err := kernelwg.Links()
	if err != nil {
		return true
	}
	for _, l := range links {
		if l.Index == index {
			return true
		}
	}
	return false
}

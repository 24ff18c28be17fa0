//go:build linux

// Package kerneltunnel is a WireGuard device of the kernel's, as who explains a tunnel looks
// at one: the same events, and of each peer what wgnode's own device would tell.
//
//	kernelwg.Source ──> Recorder ──> whoever looks
//	kernelwg.Read   ──┐    └──┐
//	peernames.Find  ──┴─────> states of peers
//
// Nothing about the device is changed, nothing is sent by it, and no private key is read. How
// much the events tell is its [Tunnel.Level].
package kerneltunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/peernames"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// ErrNotAsked: only the device itself begins a handshake.
var ErrNotAsked = errors.New("the kernel's WireGuard begins handshakes by itself alone")

// Tunnel is a device of the kernel's that is watched until it is closed. It belongs to the
// network namespace of the thread that opened it. Its methods can be called by several
// goroutines.
type Tunnel struct {
	// Sender returns a command that runs [sender.Pass]; nil: no probe is sent as another
	// process's. It is set before the tunnel is used.
	Sender func() *exec.Cmd

	name     string
	config   string // the file that the peers' names are from, "" for none
	recorder *probe.Recorder
	source   kernelwg.Source
	seen     *mirror
	less     error
	filed    *filed // wg-quick's file

	stale   chan struct{} // has one where the device should be read
	done    chan struct{}
	closing sync.Once
	working sync.WaitGroup

	mu     sync.Mutex
	device *kernelwg.Device      // guarded by mu: as last read
	names  map[key.Public]string // guarded by mu
	read   time.Time             // guarded by mu: when device was
}

var _ explain.Tunnel = (*Tunnel)(nil)

const (
	// readAge is how old what was read of the device may be where more is known by events, and
	// movedAge where a peer has moved.
	readAge  = time.Second
	movedAge = 100 * time.Millisecond
)

// Open begins to watch a device of the calling thread's network namespace, which must stay
// the process's, at the highest level that this host allows. The error wraps
// [kernelwg.ErrNotKernel] if the kernel has none of the name. Close must be called.
func Open(name string) (*Tunnel, error) { return OpenSized(name, probe.DefaultRecorderBytes) }

// OpenSized is Open with a flight recorder of so many bytes.
func OpenSized(name string, recorderBytes int) (*Tunnel, error) {
	return open(name, recorderBytes, kernelwg.Start)
}

// OpenAt is Open at one level, and no other.
func OpenAt(level probe.Level, name string) (*Tunnel, error) {
	return open(name, probe.DefaultRecorderBytes, func(opt kernelwg.Options) (s kernelwg.Source, less, err error) {
		s, err = kernelwg.StartAt(level, opt)
		return s, nil, err
	})
}

func open(name string, recorderBytes int, start func(kernelwg.Options) (s kernelwg.Source, less, err error)) (*Tunnel, error) {
	device, err := kernelwg.Read(name)
	if err != nil {
		return nil, err
	}
	recorder, err := probe.NewRecorder(recorderBytes)
	if err != nil {
		return nil, err
	}
	space, err := namespace()
	if err != nil {
		return nil, err
	}
	t := &Tunnel{name: name, recorder: recorder, seen: newMirror(), filed: newFiled(name),
		stale: make(chan struct{}, 1), done: make(chan struct{})}
	t.source, t.less, err = start(kernelwg.Options{Device: device.Index, Namespace: space, Port: device.Port,
		Recorder: recorder, Saw: t.saw, Read: t.reread})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", name, err)
	}
	t.names, t.config = peernames.Find(name)
	t.take(device)
	t.working.Go(t.follow)
	return t, nil
}

// saw takes in an event that was recorded. A copy of a message to an address that is no peer's,
// as far as was read, shows that a peer has moved.
func (t *Tunnel) saw(level probe.Level, e *probe.Event) {
	t.seen.add(level, e)
	if level.Copies() && e.Peer == 0 && e.Seam == probe.SeamUDPSend {
		t.outdated()
	}
}

// outdated has the device read.
func (t *Tunnel) outdated() {
	select {
	case t.stale <- struct{}{}:
	default:
	}
}

// follow reads the device where a peer has moved, until the tunnel is closed.
func (t *Tunnel) follow() {
	for {
		select {
		case <-t.done:
			return
		case <-t.stale:
		}
		if newer, err := kernelwg.Read(t.name); err == nil { // else it has gone
			t.take(newer)
		}
		select {
		case <-t.done:
			return
		case <-time.After(movedAge):
		}
	}
}

// namespace is the inode number of the calling thread's network namespace.
func namespace() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("find the network namespace: %w", err)
	}
	return uint32(st.Ino), nil
}

// Close ends the watch. The device goes on. It may be called again.
func (t *Tunnel) Close() error {
	t.closing.Do(func() { close(t.done) })
	t.working.Wait()
	return t.source.Close()
}

// Name is the device's.
func (t *Tunnel) Name() string { return t.name }

// Config is the path of the file that the peers' names are from, "" if there is none.
func (t *Tunnel) Config() string { return t.config }

// Less says why the level is not exact, nil if it is.
func (t *Tunnel) Less() error { return t.less }

// Level implements [explain.Tunnel].
func (t *Tunnel) Level() probe.Level { return t.source.Level() }

// Recorder implements [explain.Tunnel].
func (t *Tunnel) Recorder() *probe.Recorder { return t.recorder }

// reread reads the device once more, and has it taken in.
func (t *Tunnel) reread() (*kernelwg.Device, error) {
	t.outdated()
	return kernelwg.Read(t.name)
}

// take takes in what was read of the device.
func (t *Tunnel) take(d *kernelwg.Device) {
	t.source.Know(d)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.device, t.read = d, time.Now()
}

// now is the device as it was at most readAge ago.
func (t *Tunnel) now() *kernelwg.Device {
	t.mu.Lock()
	d, read := t.device, t.read
	t.mu.Unlock()
	if time.Since(read) < readAge {
		return d
	}
	newer, err := kernelwg.Read(t.name)
	if err != nil {
		return d // it has gone: what is known of it is what it was
	}
	t.take(newer)
	return newer
}

// Status implements [explain.Tunnel]. It has no private key, and no preshared one.
func (t *Tunnel) Status() (*uapi.Status, error) {
	d, err := kernelwg.Read(t.name)
	if err != nil {
		return nil, err
	}
	t.take(d)
	return StatusOf(d), nil
}

// Peers implements [explain.Tunnel].
func (t *Tunnel) Peers() []tunnel.PeerState {
	var all []tunnel.PeerState
	d := t.now()
	for i := range d.Peers {
		all = append(all, t.state(&d.Peers[i]))
	}
	return all
}

func (t *Tunnel) state(p *kernelwg.Peer) tunnel.PeerState {
	s := tunnel.PeerState{ID: t.source.Peers().ID(p.Public), Key: p.Public, Name: t.names[p.Public], Configured: true,
		Endpoint: p.Endpoint, Established: p.Handshake}
	t.seen.fill(&s)
	return s
}

// PeerState implements [explain.Tunnel].
func (t *Tunnel) PeerState(id probe.PeerID) tunnel.PeerState {
	k := t.source.Peers().Key(id)
	if s, ok := t.StateOf(k); ok {
		return s
	}
	s := tunnel.PeerState{ID: id, Key: k, Name: t.names[k]}
	t.seen.fill(&s)
	return s
}

// StateOf implements [explain.Tunnel].
func (t *Tunnel) StateOf(k key.Public) (tunnel.PeerState, bool) {
	d := t.now()
	if p := d.Peer(k); p != nil {
		return t.state(p), true
	}
	return tunnel.PeerState{}, false
}

// Peer is the key and the name of a peer that events name; false: there is none.
func (t *Tunnel) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	k = t.source.Peers().Key(id)
	return k, t.names[k], k != key.Public{}
}

// Lookup implements [explain.Tunnel].
func (t *Tunnel) Lookup(a netip.Addr) (tunnel.Route, bool) {
	a = a.Unmap()
	var best tunnel.Route
	d := t.now()
	for i := range d.Peers {
		for _, prefix := range d.Peers[i].AllowedIPs {
			if prefix.Contains(a) && (best.Peer == 0 || prefix.Bits() > best.Prefix.Bits()) {
				best = tunnel.Route{Peer: t.source.Peers().ID(d.Peers[i].Public), Prefix: prefix}
			}
		}
	}
	return best, best.Peer != 0
}

// PeerOf implements [explain.Tunnel].
func (t *Tunnel) PeerOf(head []byte, sent bool) probe.PeerID { return t.seen.peerOf(head, sent) }

// Initiator implements [explain.Tunnel]: to read an initiation takes the private key, which is
// not asked for.
func (t *Tunnel) Initiator([]byte) (probe.PeerID, bool) { return 0, false }

// InitiateHandshake implements [explain.Tunnel].
func (t *Tunnel) InitiateHandshake(key.Public) error { return ErrNotAsked }

// SendApart implements [explain.Tunnel].
func (t *Tunnel) SendApart() (end func()) { return func() {} }

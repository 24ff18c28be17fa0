package tunnel

import (
	"fmt"
	"net/netip"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/handshake"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/refuse"
	"github.com/wgnode/wgnode/tunnel/internal/seam"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
)

// Tunnel is a WireGuard device whose packets can be watched. All methods are
// safe for concurrent use.
type Tunnel struct {
	dev *device.Device
	udp conn.Bind

	rec   *probe.Recorder
	m     *mirror.Mirror
	keep  *mirror.Keeper
	watch *seam.Watch // the seams' part of all

	done    chan struct{}
	closing sync.Once
	workers sync.WaitGroup
}

// Options are what a tunnel can be told beside its configuration.
type Options struct {
	// RecorderBytes is the memory of the flight recorder;
	// probe.DefaultRecorderBytes if 0.
	RecorderBytes int
	// Debugf and Errorf, if set, get what the WireGuard device logs. They must
	// be safe for concurrent use and not block. No key reaches them.
	Debugf, Errorf func(format string, args ...any)
	// SendICMP, if set, sends a message of ICMP, or of ICMPv6 without its checksum, to the
	// sender of a packet that the tunnel has dropped: from the host's own address, whose
	// word it is. It is called by one goroutine. If it fails or is nil, the message comes
	// out of the tunnel in the name of the destination.
	SendICMP func(to netip.Addr, message []byte) error
}

// New makes a tunnel over a TUN device and a UDP bind, which it owns from then
// on and closes in the end. The tunnel has no key and no peers yet, and is
// down: see [Tunnel.Configure] and [Tunnel.Up].
func New(dev tun.Device, bind conn.Bind, o Options) (*Tunnel, error) {
	if o.RecorderBytes == 0 {
		o.RecorderBytes = probe.DefaultRecorderBytes
	}
	rec, err := probe.NewRecorder(o.RecorderBytes)
	if err != nil {
		return nil, err
	}
	m, tags, taps := mirror.New(rec), tag.New(), tap.New(rec)
	w := &seam.Watch{
		Recorder: rec, Mirror: m, Flows: probe.NewFlows(probe.DefaultFlows), Tags: tags, Taps: taps,
		Handshakes: handshake.New(m, taps), Accountant: account.New(rec, m, tags), Refuser: refuse.New(dev, o.SendICMP),
	}
	t := &Tunnel{udp: bind, rec: rec, m: m, keep: mirror.NewKeeper(m), watch: w, done: make(chan struct{})}
	t.dev = device.NewDevice(w.TUN(dev), w.UDP(bind), w.Logger(t.keep, o.Debugf, o.Errorf))
	t.keep.Attach(t.dev)
	w.Accountant.Attach(t.dev)
	for _, run := range []func(<-chan struct{}){w.Handshakes.Run, w.Accountant.Run, w.Refuser.Run} {
		t.workers.Go(func() { run(t.done) })
	}
	return t, nil
}

// Up opens the sockets and starts the peers; Down does the reverse.
func (t *Tunnel) Up() error {
	if err := t.dev.Up(); err != nil {
		return fmt.Errorf("open UDP sockets: %w", err)
	}
	return nil
}

// Down is described at [Tunnel.Up].
func (t *Tunnel) Down() error {
	if err := t.dev.Down(); err != nil {
		return fmt.Errorf("close UDP sockets: %w", err)
	}
	return nil
}

// Close closes the device, the TUN device and the bind with it.
func (t *Tunnel) Close() {
	t.closing.Do(func() {
		t.dev.Close()
		close(t.done)
		t.workers.Wait()
	})
}

// Wait returns a channel that is closed when the device has closed, by Close
// or because the TUN device went away.
func (t *Tunnel) Wait() <-chan struct{} { return t.dev.Wait() }

// Recorder is the tunnel's flight recorder.
func (t *Tunnel) Recorder() *probe.Recorder { return t.rec }

// InitiateHandshake begins a handshake with a peer, even if the present
// session is still good, unless one was begun in the last 5 s. It is how a
// peer can be asked for a sign of life.
func (t *Tunnel) InitiateHandshake(k key.Public) error {
	p := t.dev.LookupPeer(device.NoisePublicKey(k))
	if p == nil {
		return fmt.Errorf("initiate handshake: no peer %s", k.Short())
	}
	if err := p.SendHandshakeInitiation(false); err != nil {
		return fmt.Errorf("initiate handshake with peer %s: %w", k.Short(), err)
	}
	return nil
}

// RenewSession gives up the present session with a peer and begins a handshake,
// however lately another was begun. What is to be sent waits for it.
func (t *Tunnel) RenewSession(k key.Public) error {
	p := t.dev.LookupPeer(device.NoisePublicKey(k))
	if p == nil {
		return fmt.Errorf("renew session: no peer %s", k.Short())
	}
	p.ExpireCurrentKeypairs()
	return t.InitiateHandshake(k)
}

// SendKeepalive sends an empty packet, from which the peer learns where this
// node is now. If there is no session, a handshake is begun instead, unless one
// was in the last 5 s.
func (t *Tunnel) SendKeepalive(k key.Public) error {
	p := t.dev.LookupPeer(device.NoisePublicKey(k))
	if p == nil {
		return fmt.Errorf("send keepalive: no peer %s", k.Short())
	}
	p.SendKeepalive()
	return nil
}

// SendApart has every encrypted packet make its own way through the host's network
// stack until end is called, if the bind can tell it to: see [udp.Bind.SendApart].
func (t *Tunnel) SendApart() (end func()) {
	if b, ok := t.udp.(interface{ SendApart() func() }); ok {
		return b.SendApart()
	}
	return func() {}
}

// NetworkChanged records what happened to this host's network.
func (t *Tunnel) NetworkChanged(c probe.NetworkChange) { t.m.Record(c.Event()) }

// Level is that of a device whose every seam is watched.
func (t *Tunnel) Level() probe.Level { return probe.LevelDevice }

// PublicKey is the key that this node's private key belongs to.
func (t *Tunnel) PublicKey() key.Public { return t.m.Identity.Load().Public }

// ListenPort is the UDP port that the sockets are bound to.
func (t *Tunnel) ListenPort() uint16 { return uint16(t.m.Port.Load()) }

// FwMark is the mark of the packets that the sockets send, 0 for none.
func (t *Tunnel) FwMark() uint32 { return t.m.Mark.Load() }

package tunnel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Tunnel is a WireGuard device whose packets can be watched. All methods are
// safe for concurrent use.
type Tunnel struct {
	dev *device.Device
	udp conn.Bind
	opt Options

	rec      *probe.Recorder
	flows    *probe.Flows
	peers    *peers
	allowed  *allowedIPs
	local    *sessionTable // our indices: receivers of what comes in
	remote   *sessionTable // the peers' indices: receivers of what goes out
	clock    *clock
	magic    uint64
	far      atomic.Bool // there has been a packet whose tag is far
	identity atomic.Pointer[identity]
	port     atomic.Uint32
	mark     atomic.Uint32

	config sync.Mutex // serialises changes of the configuration
	hs     *handshakes
	acct   *accountant
	icmp   *refuser

	messages    messages
	sessionKeys sessionKeys
	taps        atomic.Pointer[taps] // nil or empty: nobody records; changed under config

	active      atomic.Bool // packets passed since the accountant last looked; see busy
	untagged    atomic.Uint64
	mismatches  atomic.Uint64
	uninspected atomic.Uint64

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
}

// Config is what a tunnel is configured with.
type Config struct {
	PrivateKey key.Private
	ListenPort uint16 // 0: any
	FwMark     uint32 // 0: none
	Peers      []PeerConfig
	// Progress is told now and then, while Configure works, how many of the
	// peers the device has by then. Nil is for nobody.
	Progress func(peers int)
}

// MaxPeers is how many peers the device takes.
const MaxPeers = device.MaxPeers

// PeerConfig is the configuration of one peer.
type PeerConfig struct {
	Name                string // for people; may be empty
	PublicKey           key.Public
	PresharedKey        key.Preshared  // zero: none
	Endpoint            netip.AddrPort // zero: not known
	AllowedIPs          []netip.Prefix
	PersistentKeepalive uint16 // seconds; 0: off
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
	t := &Tunnel{
		udp: bind, opt: o, rec: rec, flows: probe.NewFlows(probe.DefaultFlows), peers: newPeers(), allowed: newAllowedIPs(),
		local: newSessionTable(), remote: newSessionTable(), clock: newClock(),
		magic: rand.Uint64() &^ tagStateMask, done: make(chan struct{}),
	}
	t.identity.Store(newIdentity(key.Private{}))
	t.hs, t.acct, t.icmp = newHandshakes(t), newAccountant(t), newRefuser(dev)
	t.dev = device.NewDevice(
		newTunSeam(dev, t),
		&udpSeam{Bind: bind, t: t},
		t.logger())
	for _, run := range []func(<-chan struct{}){t.hs.run, t.acct.run, t.icmp.run} {
		t.workers.Go(func() { run(t.done) })
	}
	return t, nil
}

// busy notes that packets pass. The word is shared by all processors, so it is
// written only when it changes.
func (t *Tunnel) busy() {
	if !t.active.Load() {
		t.active.Store(true)
	}
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

// Configure replaces the whole configuration. All sessions end.
func (t *Tunnel) Configure(c Config) error {
	change := c.change()
	change.ReplacePeers = true
	if err := t.setInParts(change, c.Progress); err != nil {
		return configError(err)
	}
	t.name(&c)
	return nil
}

// Reconfigure makes the configuration that of c, and lets the sessions of peers
// that stay go on. A peer whose endpoint is zero in c keeps the one that it has,
// and so does the tunnel its port if that is 0 in c. It returns what was changed,
// see [uapi.Change.Words].
func (t *Tunnel) Reconfigure(c Config) ([]string, error) {
	status, err := t.Status()
	if err != nil {
		return nil, err
	}
	change := c.change()
	if c.ListenPort == 0 {
		change.ListenPort = nil
	}
	change.Reduce(status)
	if err := t.set(change.Text()); err != nil {
		return change.Words(), configError(err)
	}
	t.name(&c)
	return change.Words(), nil
}

// name notes the names of the peers.
func (t *Tunnel) name(c *Config) {
	own := t.PublicKey()
	for i := range c.Peers {
		if c.Peers[i].PublicKey != own {
			t.peers.ensure(c.Peers[i].PublicKey).setName(c.Peers[i].Name)
		}
	}
}

// change asks for the whole of c.
func (c *Config) change() *uapi.Change {
	change := &uapi.Change{PrivateKey: &c.PrivateKey, ListenPort: &c.ListenPort, FwMark: &c.FwMark}
	for i := range c.Peers {
		p := &c.Peers[i]
		change.Peers = append(change.Peers, uapi.PeerChange{
			PublicKey: p.PublicKey, PresharedKey: &p.PresharedKey, Endpoint: p.Endpoint,
			Keepalive: &p.PersistentKeepalive, ReplaceIPs: true, AllowedIPs: p.AllowedIPs,
		})
	}
	return change
}

// SetEndpoint gives a peer of the configuration another endpoint, and records
// that as an event.
func (t *Tunnel) SetEndpoint(k key.Public, ep netip.AddrPort) error {
	old, _ := t.StateOf(k)
	err := t.set(fmt.Sprintf("public_key=%s\nupdate_only=true\nendpoint=%s\n", k.Hex(), ep))
	if err != nil {
		return fmt.Errorf("set endpoint of peer %s: %w", k.Short(), configError(err))
	}
	if now, ok := t.StateOf(k); ok && now.Endpoint != old.Endpoint {
		if old.Endpoint.IsValid() {
			t.peers.get(now.ID).moves.Add(1)
		}
		t.device(probe.Event{Kind: probe.KindEndpoint, Peer: now.ID,
			OuterSrc: probe.AddrFrom(old.Endpoint.Addr()), OuterSrcPort: old.Endpoint.Port(),
			OuterDst: probe.AddrFrom(now.Endpoint.Addr()), OuterDstPort: now.Endpoint.Port()})
	}
	return nil
}

// configError keeps the device's error code and drops its text, which may
// quote a line with a key.
func configError(err error) error {
	var ipc *device.IPCError
	if !errors.As(err, &ipc) {
		return errors.New("configure device: refused")
	}
	cause := errors.Unwrap(ipc)
	for cause != nil {
		next := errors.Unwrap(cause)
		if next == nil {
			break
		}
		cause = next
	}
	var errno interface{ Timeout() bool } // a system error, such as "address already in use"
	if cause != nil && errors.As(cause, &errno) {
		return fmt.Errorf("configure device: %w", cause)
	}
	return fmt.Errorf("configure device: refused with code %d", ipc.ErrorCode())
}

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
func (t *Tunnel) NetworkChanged(c probe.NetworkChange) { t.device(c.Event()) }

// PublicKey is the key that this node's private key belongs to.
func (t *Tunnel) PublicKey() key.Public { return t.identity.Load().public }

// ListenPort is the UDP port that the sockets are bound to.
func (t *Tunnel) ListenPort() uint16 { return uint16(t.port.Load()) }

// FwMark is the mark of the packets that the sockets send, 0 for none.
func (t *Tunnel) FwMark() uint32 { return t.mark.Load() }

// Route is where cryptokey routing sends an address.
type Route struct {
	Peer   probe.PeerID
	Prefix netip.Prefix
}

// Lookup finds the peer whose AllowedIPs hold a, as the device will.
func (t *Tunnel) Lookup(a netip.Addr) (Route, bool) {
	a = a.Unmap()
	id, bits := t.allowed.lookup(a)
	if id == 0 {
		return Route{}, false
	}
	p, err := a.Prefix(int(bits))
	return Route{id, p}, err == nil
}

// Peer resolves an ID as events hold it, and reports whether there is such a
// peer. A peer that was removed still has its key and name, for as long as it is
// remembered.
func (t *Tunnel) Peer(id probe.PeerID) (k [32]byte, name string, ok bool) {
	p := t.peers.get(id)
	if p.id == 0 {
		return k, "", false
	}
	return p.key, p.displayName(), true
}

// PeerState is what the tunnel knows of a peer beyond what the device says.
type PeerState struct {
	ID         probe.PeerID
	Key        key.Public
	Name       string
	Configured bool
	Endpoint   netip.AddrPort // zero if none is known
	// Moves is how often the endpoint became another one: because the peer's
	// messages came from there, or by SetEndpoint.
	Moves uint64
	Drops map[probe.Reason]uint64
	// Unanswered is how many of our initiations were followed by another one
	// because no response had come, and GivenUp how often the device sent no more
	// of them, after 90 s.
	Unanswered, GivenUp uint64
	// Waiting is how many packets are inside the device, mostly because there
	// is no session yet.
	Waiting uint64
	// Established is when the latest handshake was completed (initiator) or
	// answered (responder); zero if none was.
	Established time.Time
	// InitiationPending: our latest initiation has not been answered.
	// PendingSince is then when we sent the first of those that were not.
	InitiationPending bool
	PendingSince      time.Time
	// Initiated is when we sent our latest initiation; zero if never.
	Initiated time.Time
	// ClockNewest is the highest time that the peer stated in an initiation,
	// Clock the latest, at ClockAt by this host's clock. Only for a peer that
	// initiates.
	ClockNewest, Clock, ClockAt time.Time
}

// Peers returns the state of all peers, and of those that were removed last.
func (t *Tunnel) Peers() []PeerState {
	var states []PeerState
	for p := range t.peers.all() {
		states = append(states, p.state())
	}
	return states
}

// PeerState returns the state of one peer; that of ID 0 holds the drops that
// are no peer's.
func (t *Tunnel) PeerState(id probe.PeerID) PeerState { return t.peers.get(id).state() }

// StateOf returns the state of the peer with key k, and reports whether it is
// configured now.
func (t *Tunnel) StateOf(k key.Public) (PeerState, bool) {
	p := t.peers.find(k)
	if p == nil {
		return PeerState{}, false
	}
	s := p.state()
	return s, s.Configured
}

func (p *peer) state() PeerState {
	s := PeerState{ID: p.id, Key: p.key, Name: p.displayName(), Configured: p.configured.Load(), Drops: make(map[probe.Reason]uint64)}
	if ep := p.endpoint.Load(); ep != nil {
		s.Endpoint = *ep
	}
	s.Moves, s.Unanswered, s.GivenUp = p.moves.Load(), p.handshake.unanswered.Load(), p.handshake.givenUp.Load()
	for r := range p.drops {
		if n := p.drops[r].Load(); n > 0 {
			s.Drops[probe.Reason(r)] = n
		}
	}
	if left, entered := p.out.left.Load(), p.out.entered.Load(); entered > left {
		s.Waiting = entered - left
	}
	if ns := p.handshake.established.Load(); ns != 0 {
		s.Established = time.Unix(0, ns)
	}
	if ns := p.handshake.initiated.Load(); ns != 0 {
		s.Initiated = time.Unix(0, ns)
	}
	if s.InitiationPending = p.handshake.outstanding.Load() != 0; s.InitiationPending {
		s.PendingSince = time.Unix(0, p.handshake.pending.Load())
	}
	p.handshake.mu.Lock()
	defer p.handshake.mu.Unlock()
	s.ClockNewest, s.Clock, s.ClockAt = p.handshake.newest, p.handshake.latest, p.handshake.latestAt
	return s
}

// Counters are totals over the life of a tunnel.
type Counters struct {
	Recorded    uint64 // events
	Unrecorded  uint64 // events that found no room, see [probe.Recorder.Lost]
	Untagged    uint64 // data messages that could not be tied to their inner packet
	Mismatches  uint64 // packets whose peer was not the one that the mirror named
	Uninspected uint64 // initiations that came too fast to be read
}

// Counters returns the totals.
func (t *Tunnel) Counters() Counters {
	return Counters{t.rec.Recorded(), t.rec.Lost(), t.untagged.Load(), t.mismatches.Load(), t.uninspected.Load()}
}

package tunnel

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// set applies a UAPI set operation to the device, and then what it did to the
// mirror of the device's configuration: peers, AllowedIPs, endpoints. If the
// device refuses part of it, or the private key changes, the mirror is built
// anew from what the device says.
func (t *Tunnel) set(config string) error { return t.setFor(config, false) }

// setFor is set for a client of the UAPI socket, or for the node itself.
func (t *Tunnel) setFor(config string, client bool) error {
	t.config.Lock()
	defer t.config.Unlock()
	op := t.begin()
	defer op.end()
	err := op.set(config)
	m := mirror{t: t, own: t.identity.Load().Public, client: client, touched: make(map[*peer]struct{})}
	if err != nil || !m.apply(config) {
		if rerr := t.resync(client); rerr != nil {
			return fmt.Errorf("read configuration back: %w", rerr)
		}
		return err
	}
	m.bind()
	return nil
}

// part is how many peers are given to the device at a time: a fraction of a
// second's work for it.
const part = 1000

// setInParts is set for a change of the private key, and for as many peers as
// one may want to be told of: progress, if not nil, is.
func (t *Tunnel) setInParts(change *uapi.Change, progress func(peers int)) error {
	t.config.Lock()
	defer t.config.Unlock()
	op := t.begin()
	defer op.end()
	m := mirror{t: t, own: t.identity.Load().Public, touched: make(map[*peer]struct{})}
	followed := true // the mirror has followed so far
	var err error
	rest := *change
	for done := 0; ; {
		now := rest
		now.Peers = rest.Peers[:min(part, len(rest.Peers))]
		text := now.Text()
		if err = op.set(text); err != nil {
			break
		}
		followed = followed && m.apply(text)
		done += len(now.Peers)
		if progress != nil {
			progress(done)
		}
		rest = uapi.Change{Peers: rest.Peers[len(now.Peers):]}
		if rest.IsZero() {
			break
		}
	}
	if err == nil && followed {
		m.bind()
		return nil
	}
	if rerr := t.resync(false); rerr != nil {
		return fmt.Errorf("read configuration back: %w", rerr)
	}
	return err
}

// bind learns the pointer by which the device's log names p.
func (t *Tunnel) bind(p *peer) {
	if !p.configured.Load() {
		t.peers.bind(nil, p)
		return
	}
	t.peers.bind(t.dev.LookupPeer(device.NoisePublicKey(p.key)), p)
}

// mirror follows one set operation, line by line, as the device does
// (https://www.wireguard.com/xplatform/#configuration-protocol).
type mirror struct {
	t       *Tunnel
	own     key.Public
	client  bool  // of the UAPI socket
	cur     *peer // nil before the first peer, and for one that is ignored
	created bool
	touched map[*peer]struct{}
}

// bind ends an operation that the mirror has followed.
func (m *mirror) bind() {
	for p := range m.touched {
		m.t.bind(p)
	}
	m.t.peers.forget()
}

// apply reports false if the operation does what it cannot follow.
func (m *mirror) apply(config string) bool {
	lines := bufio.NewScanner(strings.NewReader(config))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		if name == "" {
			break // the device stops at an empty line
		}
		if !m.line(name, value) {
			return false
		}
	}
	return lines.Err() == nil
}

func (m *mirror) line(name, value string) bool {
	t := m.t
	switch name {
	case "private_key":
		return false // can remove the peer that has the same public key
	case "replace_peers":
		for p := range t.peers.all() {
			m.remove(p)
		}
	case "public_key":
		return m.begin(value)
	}
	p := m.cur
	if p == nil {
		return true
	}
	switch name {
	case "update_only":
		if m.created {
			m.remove(p)
			m.cur = nil
		}
	case "remove":
		m.remove(p)
		m.cur = nil
	case "endpoint":
		ep, err := netip.ParseAddrPort(value)
		if err != nil {
			return false
		}
		t.endpointSet(p, ep, m.client)
	case "replace_allowed_ips":
		t.allowed.removePeer(p.id)
	case "allowed_ip":
		text, minus := strings.CutPrefix(value, "-")
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return false
		}
		if minus {
			t.allowed.remove(prefix, p.id)
		} else {
			t.allowed.insert(prefix, p.id)
		}
	}
	return true
}

func (m *mirror) begin(value string) bool {
	k, ok := hexKey(value)
	if !ok {
		return false
	}
	if k == m.own {
		m.cur = nil
		return true
	}
	m.cur = m.t.peers.ensure(k)
	m.created = !m.cur.configured.Swap(true)
	m.touched[m.cur] = struct{}{}
	return true
}

// hexKey is a public key as the configuration protocol has it.
func hexKey(value string) (key.Public, bool) {
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != len(key.Public{}) {
		return key.Public{}, false
	}
	return key.Public(raw), true
}

func (m *mirror) remove(p *peer) {
	if !p.configured.Swap(false) {
		return
	}
	m.touched[p] = struct{}{}
	m.t.allowed.removePeer(p.id)
	p.endpoint.Store(nil)
	p.clients.Store(nil)
	p.handshake.outstanding.Store(0)
	m.t.peers.removed(p)
}

// Status is what the device says of itself and its peers, keys included.
func (t *Tunnel) Status() (*uapi.Status, error) {
	var b strings.Builder
	if err := t.dev.IpcGetOperation(&b); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return uapi.ParseText(b.String())
}

// Configuration is what the device was told, as [Tunnel.Status] has it, without secrets and
// without what changes by itself: endpoints, handshakes, bytes. It is kept until the next
// change of the configuration, and nobody may change it. Who asks about one of thousands of
// peers does not have all of them told.
func (t *Tunnel) Configuration() (*uapi.Status, error) {
	if s := t.known.Load(); s != nil {
		return s, nil
	}
	kept := t.config.TryLock() // else it is being changed, which may take long
	if kept {
		defer t.config.Unlock()
	}
	s, err := t.Status()
	if err != nil {
		return nil, err
	}
	s.PrivateKey = key.Private{}
	for i := range s.Peers {
		p := &s.Peers[i]
		*p = uapi.PeerStatus{PublicKey: p.PublicKey, PersistentKeepalive: p.PersistentKeepalive, AllowedIPs: p.AllowedIPs}
	}
	if kept {
		t.known.Store(s)
	}
	return s, nil
}

// resync builds the mirror from what the device says, after an operation of a client
// or of the node itself. The caller holds config.
func (t *Tunnel) resync(client bool) error {
	s, err := t.Status()
	if err != nil {
		return err
	}
	if t.identity.Load().Secret != s.PrivateKey {
		t.identity.Store(noise.NewIdentity(s.PrivateKey))
	}
	routes := make(map[netip.Prefix]probe.PeerID)
	present := make(map[*peer]bool, len(s.Peers))
	for i := range s.Peers {
		ps := &s.Peers[i]
		p := t.peers.ensure(ps.PublicKey)
		present[p] = true
		p.configured.Store(true)
		if ps.Endpoint.IsValid() {
			if was := p.endpoint.Load(); was == nil || *was != plainEndpoint(ps.Endpoint) {
				t.endpointSet(p, ps.Endpoint, client)
			}
		} else {
			p.endpoint.Store(nil)
		}
		for _, prefix := range ps.AllowedIPs {
			routes[prefix.Masked()] = p.id
		}
		t.bind(p)
	}
	t.allowed.replace(routes)
	for p := range t.peers.all() {
		if !present[p] && p.configured.Swap(false) {
			p.endpoint.Store(nil)
			t.bind(p)
			t.peers.removed(p)
		}
	}
	t.peers.forget()
	return nil
}

// endpointSet notes an endpoint that the configuration gives, or a client.
func (t *Tunnel) endpointSet(p *peer, ep netip.AddrPort, client bool) {
	ep = plainEndpoint(ep)
	p.endpoint.Store(&ep)
	now := t.clock.now()
	p.placed.Store(now)
	p.settle(ep, false, now)
	if client {
		p.clients.Store(&ep)
	} else {
		p.clients.Store(nil)
	}
}

func plainEndpoint(ep netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ep.Addr().Unmap().WithZone(""), ep.Port())
}

// endpointSeen notes where an authenticated packet of a peer's came from. A change is
// recorded as an event of its own, beside the one with Seq seq that shows it.
func (t *Tunnel) endpointSeen(p *peer, ep netip.AddrPort, seq uint64) {
	old := p.endpoint.Load()
	if old != nil && *old == ep {
		return
	}
	ep = plainEndpoint(ep)
	if old == nil || *old != ep {
		t.endpointMoved(p, old, ep, seq)
	}
}

// endpointUsed notes where a packet to a peer goes. That shows where the device has learned
// that the peer is, if the peer was heard since its endpoint last became another one. If not,
// the packet was on its way already then.
func (t *Tunnel) endpointUsed(p *peer, ep netip.AddrPort, seq uint64) {
	old := p.endpoint.Load()
	if old != nil && (*old == ep || p.heard.Load() <= p.placed.Load()) || p.changing.Load() {
		return
	}
	t.endpointSeen(p, ep, seq)
}

// endpointMoved is the rare part of endpointSeen, apart from it because ep
// escapes here.
func (t *Tunnel) endpointMoved(p *peer, old *netip.AddrPort, ep netip.AddrPort, seq uint64) {
	p.endpoint.Store(&ep)
	if !p.configured.Load() {
		p.endpoint.Store(nil)
		return
	}
	now := t.clock.now()
	p.placed.Store(now)
	p.settle(ep, true, now)
	e := probe.Event{Kind: probe.KindEndpoint, Peer: p.id, Pair: seq, Flags: probe.FlagEndpointMoved,
		OuterDst: probe.AddrFrom(ep.Addr()), OuterDstPort: ep.Port()}
	if old != nil {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(old.Addr()), old.Port()
		p.moves.Add(1)
	}
	t.device(e)
}

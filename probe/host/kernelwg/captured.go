//go:build linux

package kernelwg

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
	"github.com/wgnode/wgnode/probe/key"
)

// copied is a copy of a packet.
type copied struct {
	b      []byte // from the IP header on; valid until the next one
	at     int64
	out    bool // it leaves by the device
	other  bool // it came in, and is another host's
	device int  // the index of the device
}

// sessionsKept bounds the sessions and messages that are remembered. Anybody can send what
// looks like a message: then all are forgotten, and learned again.
const sessionsKept = 4096

// captured makes events of copies. What is in a message it does not say.
type captured struct {
	rec   log
	flows *probe.Flows
	peers *Peers
	port  uint16
	local func(netip.Addr) bool
	allow allowed
	at    atomic.Pointer[map[netip.AddrPort]probe.PeerID] // whose endpoint an address is
	own   atomic.Pointer[key.Public]                      // the device's, as it was read
	keys  atomic.Pointer[[]key.Public]                    // the peers'

	reread func() (*Device, error) // reads it once more; may be nil
	read   time.Time               // when that was done; of the goroutine that takes messages

	known   begun // guarded by mu
	outward bool  // of packets at the device, those that enter the tunnel alone

	mu       sync.Mutex
	received *waiting[message, probe.Event] // guarded by mu: messages, until what was in them is told
	early    *waiting[message, probe.Event] // guarded by mu: what was in messages that have not been told yet
	sessions map[index]session              // guarded by mu
	seen     map[seenMessage]int            // guarded by mu: at which device a message was seen
	later    map[seenMessage]int            // guarded by mu: those before, which go next
}

// index is that of a session, of this host's own or of a peer's.
type index struct {
	own   bool
	index uint32
}

// session is whose it is, and whether this host has begun it.
type session struct {
	peer      probe.PeerID
	initiator bool
}

// seenMessage tells messages apart: a packet passes several devices where one stands on another.
type seenMessage struct {
	seam    probe.Seam
	kind    probe.Kind
	index   uint32
	counter uint64
}

func newCaptured(opt *Options, level probe.Level, local func(netip.Addr) bool) *captured {
	c := &captured{rec: opt.log(level), flows: opt.Flows, peers: newPeers(), port: opt.Port, local: local, reread: opt.Read,
		sessions: make(map[index]session), seen: make(map[seenMessage]int),
		received: newWaiting[message, probe.Event](packetsKept, nil)}
	c.early = newWaiting(packetsKept, func(_ message, e probe.Event) { c.rec.Record(probe.LaneTUNWrite, &e) })
	return c
}

// know takes in what the kernel has told of the device.
func (c *captured) know(d *Device) {
	c.allow.set(d, c.peers)
	at, own := endpointsOf(d, c.peers), d.Public
	c.at.Store(&at)
	c.own.Store(&own)
	keys := make([]key.Public, len(d.Peers))
	for i := range d.Peers {
		keys[i] = d.Peers[i].Public
	}
	c.keys.Store(&keys)
}

// endpointsOf are the peers by their endpoints, 0 for one that several have.
func endpointsOf(d *Device, peers *Peers) map[netip.AddrPort]probe.PeerID {
	at := make(map[netip.AddrPort]probe.PeerID)
	for i := range d.Peers {
		ep, id := d.Peers[i].Endpoint, peers.ID(d.Peers[i].Public)
		if !ep.IsValid() {
			continue
		}
		if _, twice := at[ep]; twice {
			id = 0 // either's
		}
		at[ep] = id
	}
	return at
}

// whose is the peer with an endpoint, 0 if that is not known.
func (c *captured) whose(a netip.AddrPort) probe.PeerID {
	if at := c.at.Load(); at != nil {
		return (*at)[a]
	}
	return 0
}

// inner is a packet that enters the tunnel, or has left it.
func (c *captured) inner(p *copied) {
	if c.outward && !p.out {
		return
	}
	e := probe.Event{Time: p.at, Seam: probe.SeamTUNWrite, Kind: probe.KindInner, PrefixBits: probe.NoPrefix}
	a, other, lane, addr := probe.A6, probe.B4, probe.LaneTUNWrite, &e.InnerSrc
	if p.out {
		e.Seam, a, other, lane, addr = probe.SeamTUNRead, probe.A1, probe.B7, probe.LaneTUNRead, &e.InnerDst
	}
	if !e.DecodeInner(p.b) {
		return // what the kernel itself says on the link
	}
	r, found, known := c.allow.find(addr.Netip())
	switch {
	case found:
		e.Peer, e.PrefixBits = r.peer, r.bits
	case p.out && e.InnerDst.Multicast():
		e.Reason = probe.LinkScope
	case p.out && known:
		e.Reason = probe.NoAllowedIPsMatch
	}
	k, quoted := c.flows.Key(&e, p.b)
	e.Checkpoint = other
	if c.flows.Here(k, &e, p.out, quoted, p.at) {
		e.Checkpoint = a
		e.Flags |= probe.FlagInitiatedHere
	}
	c.rec.Record(lane, &e)
}

// outer is a datagram that looks like one or more messages.
func (c *captured) outer(p *copied) {
	src, dst, payload := datagramOf(p.b)
	out := src.Port() == c.port && p.out && c.local(src.Addr())
	in := dst.Port() == c.port && !p.out && !p.other && c.local(dst.Addr())
	if out == in {
		return // another host's
	}
	for len(payload) > 0 {
		msg := payload[:first(payload)]
		payload = payload[len(msg):]
		e := probe.Event{Time: p.at, Seam: probe.SeamUDPReceive, PrefixBits: probe.NoPrefix}
		if out {
			e.Seam = probe.SeamUDPSend
		}
		e.OuterSrc, e.OuterSrcPort, e.OuterDst, e.OuterDstPort = probe.AddrFrom(src.Addr()), src.Port(), probe.AddrFrom(dst.Addr()), dst.Port()
		if e.Reason = e.DecodeOuter(msg); in && c.astray(&e, msg) {
			e.Reason = probe.InvalidMAC1
		}
		if e.Kind != probe.KindOther {
			c.message(&e, msg, out, src, dst, p.device)
		}
	}
}

// first is the length of the first message of several that follow one another in one
// datagram, before the kernel has cut it: they are of one length, but for the last, and
// their counters follow each other.
func first(b []byte) int {
	if len(b) < 2*probe.LenKeepalive || binary.LittleEndian.Uint32(b) != probe.TypeData {
		return len(b)
	}
	next := bytes.Clone(b[:16])
	binary.LittleEndian.PutUint64(next[8:], binary.LittleEndian.Uint64(b[8:])+1)
	for at := probe.LenKeepalive; at+probe.LenKeepalive <= len(b); at += 16 {
		if bytes.Equal(b[at:at+16], next) {
			return at
		}
	}
	return len(b)
}

// message records a message.
func (c *captured) message(e *probe.Event, msg []byte, out bool, src, dst netip.AddrPort, device int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again(e, device) {
		return
	}
	peer := c.whose(src)
	if out {
		peer = c.whose(dst)
	}
	if out && peer == 0 { // it has moved, and that was not read yet; or several are there
		peer = c.addressee(e, msg)
	}
	lane := probe.LaneControl
	switch e.Kind {
	case probe.KindInitiation:
		e.Peer, e.Checkpoint = peer, either(out, probe.A2, probe.B1)
		if out {
			c.learn(index{true, e.Sender}, session{peer, true})
		}
	case probe.KindResponse:
		e.Checkpoint = either(out, probe.B2, probe.A3)
		e.Peer = peer
		if s, ok := c.sessions[index{true, e.Receiver}]; !out && ok {
			e.Peer = s.peer // an initiation of ours is answered, wherever from
			c.learn(index{false, e.Sender}, s)
		}
		if out {
			c.learn(index{true, e.Sender}, session{peer, false})
			c.learn(index{false, e.Receiver}, session{peer, false})
		}
	case probe.KindCookie:
		e.Peer, e.Checkpoint = peer, either(out, probe.B2, probe.A3)
	default:
		lane = probe.LaneUDPReceive
		if out {
			lane = probe.LaneUDPSend
		}
		e.Peer = peer
		if s, ok := c.sessions[index{!out, e.Receiver}]; ok {
			if s.peer == 0 && peer != 0 { // where it is was not known yet as the session began
				s.peer = peer
				c.learn(index{!out, e.Receiver}, s)
			}
			e.Peer = s.peer
			// The side that began the session is as a rule the one that had something to send.
			e.Checkpoint = either(out, either(s.initiator, probe.A4, probe.B8), either(s.initiator, probe.A5, probe.B3))
		}
	}
	seq := c.rec.Record(lane, e)
	if m := (message{index: e.Receiver, counter: e.Counter}); c.outward && lane == probe.LaneUDPReceive {
		e.Seq = seq
		if in, ok := c.early.take(m); ok {
			c.deliver(e, &in)
		} else if e.Kind == probe.KindData {
			c.received.put(m, *e, 0)
		}
	}
}

// take is delivered.
func (c *captured) take(r raw) {
	c.delivered(r)
	c.expire(int64(r.long(atTime)))
}

func (c *captured) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.early.all) > 0
}

// expire gives up packets whose messages were not copied.
func (c *captured) expire(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early.until(now - undelivered)
}

// delivered is a packet that has left the tunnel, with the message that it was in. The copy
// of that may come later.
func (c *captured) delivered(r raw) {
	e := probe.Event{Time: bpf.Since(r.long(atTime)).UnixNano(), Seam: probe.SeamTUNWrite, Kind: probe.KindInner, PrefixBits: probe.NoPrefix}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.known.packet(r)
	if !e.DecodeInner(b) {
		return
	}
	e.Receiver, e.Counter = r.index(), r.long(atCounter)
	if r, ok, _ := c.allow.find(e.InnerSrc.Netip()); ok {
		e.Peer, e.PrefixBits = r.peer, r.bits
	}
	k, quoted := c.flows.Key(&e, b)
	e.Checkpoint = probe.B4
	if c.flows.Here(k, &e, false, quoted, e.Time) {
		e.Checkpoint = probe.A6
		e.Flags |= probe.FlagInitiatedHere
	}
	m := message{index: e.Receiver, counter: e.Counter}
	if from, ok := c.received.take(m); ok {
		c.deliver(&from, &e)
		return
	}
	c.early.put(m, e, int64(r.long(atTime)))
}

// deliver records a packet beside the message that it was in.
func (c *captured) deliver(from, e *probe.Event) {
	e.Pair, e.OuterSrc, e.OuterSrcPort, e.OuterLen = from.Seq, from.OuterSrc, from.OuterSrcPort, from.OuterLen
	c.rec.Record(probe.LaneTUNWrite, e)
}

func either(first bool, a, b probe.Checkpoint) probe.Checkpoint {
	if first {
		return a
	}
	return b
}

func (c *captured) learn(i index, s session) {
	if len(c.sessions) >= sessionsKept {
		clear(c.sessions)
	}
	c.sessions[i] = s
}

// again reports whether a message was seen already, at another device.
func (c *captured) again(e *probe.Event, device int) bool {
	m := seenMessage{e.Seam, e.Kind, e.Receiver, e.Counter}
	if e.Kind == probe.KindInitiation || e.Kind == probe.KindResponse {
		m.index = e.Sender
	}
	if d, ok := c.seen[m]; ok {
		return d != device
	}
	if d, ok := c.later[m]; ok {
		return d != device
	}
	if len(c.seen) >= sessionsKept {
		c.seen, c.later = make(map[seenMessage]int), c.seen
	}
	c.seen[m] = device
	return false
}

// datagramOf takes a UDP datagram apart.
func datagramOf(b []byte) (src, dst netip.AddrPort, payload []byte) {
	from, to, body := packetOf(b)
	if len(body) < 8 {
		return src, dst, nil
	}
	src = netip.AddrPortFrom(from, binary.BigEndian.Uint16(body))
	dst = netip.AddrPortFrom(to, binary.BigEndian.Uint16(body[2:]))
	return src, dst, body[8:]
}

// packetOf takes an IP packet apart.
func packetOf(b []byte) (from, to netip.Addr, body []byte) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		at := int(b[0]&0x0f) * 4
		return netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[min(at, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[40:]
	}
	return from, to, nil
}

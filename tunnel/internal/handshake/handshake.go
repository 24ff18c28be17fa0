// Package handshake follows handshake messages, both ways: whose each is, what became of
// it, and which indices it makes known.
//
// A [Tracker] is told of every message by the seam that it passes, and of what the device
// says of one ([Tracker.About], [Tracker.Rejected]). Whom one that leaves is for its mac1
// tells; whose one that comes in is, an index of ours, or for an initiation its content:
// that is decrypted off the path of packets, by a goroutine of its own, and only so many a
// second. Indices go into the mirror's tables of sessions, messages to the taps.
//
// Where a process is told to ([KeepSessionKeys]), the keys that decrypt its sessions are
// kept, too.
package handshake

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
)

const (
	// Reading an initiation costs two multiplications on the curve, some
	// 100 us. A flood of them must not cost us more than the device itself.
	inspectPerSecond = 100
	inspectBurst     = 200
	inspectQueue     = 256

	responsesKept = 1024

	// sendingKept is more than the device has goroutines that send handshake messages, on
	// most machines.
	sendingKept = 16
)

// Tracker follows handshake messages, both ways.
type Tracker struct {
	m     *mirror.Mirror
	taps  *tap.Set
	keys  sessionKeys
	queue chan waiting
	limit *rate.Limiter
	heard *rate.Limiter // of those that are read for others

	Uninspected atomic.Uint64 // initiations that came too fast to be read

	// sending are the peers that the device has said last that it is about to send a
	// handshake message to, in a ring: it says so, and then hands the message over.
	sending [sendingKept]atomic.Pointer[mirror.Peer]
	next    atomic.Uint32

	mu        sync.Mutex
	responses map[string]response             // guarded by mu: the latest from each source
	recipient map[netip.AddrPort]*mirror.Peer // guarded by mu: who was last sent to there
}

// waiting is an initiation on its way to being read.
type waiting struct {
	msg [probe.LenInitiation]byte
	e   probe.Event
}

type response struct {
	peer  probe.PeerID
	index uint32
	mac1  bool
}

// New returns a tracker that has seen no message.
func New(m *mirror.Mirror, taps *tap.Set) *Tracker {
	return &Tracker{
		m: m, taps: taps, queue: make(chan waiting, inspectQueue), limit: rate.NewLimiter(inspectPerSecond, inspectBurst),
		heard:     rate.NewLimiter(inspectPerSecond, inspectBurst),
		responses: make(map[string]response), recipient: make(map[netip.AddrPort]*mirror.Peer),
	}
}

// Received records a handshake message. e has kind, indices, time and
// source already.
func (h *Tracker) Received(msg []byte, e *probe.Event, ep conn.Endpoint) {
	e.Seam, e.PrefixBits, e.OuterDstPort = probe.SeamUDPReceive, probe.NoPrefix, uint16(h.m.Port.Load())
	switch e.Kind {
	case probe.KindInitiation:
		e.Checkpoint = probe.B1
		h.initiationReceived(msg, e)
		return
	case probe.KindResponse:
		e.Checkpoint = probe.A3
		h.responseReceived(msg, e, ep)
	case probe.KindCookie:
		e.Checkpoint = probe.A3
		e.Peer, _ = h.m.Local.Lookup(e.Receiver)
	}
	if e.Reason != probe.ReasonNone {
		h.m.Peers.Get(e.Peer).Drop(e.Reason, 1)
	}
	h.taps.Message(e, msg)
}

func (h *Tracker) responseReceived(msg []byte, e *probe.Event, ep conn.Endpoint) {
	var initiator bool
	e.Peer, initiator = h.m.Local.Lookup(e.Receiver)
	valid := noise.MAC1Valid(msg, &h.m.Identity.Load().MAC1)
	switch {
	case !valid:
		e.Reason = probe.InvalidMAC1
	case e.Peer == 0 || !initiator:
		e.Reason = probe.ResponseStale
	default:
		h.m.Remote.Add(e.Sender, e.Peer, true, e.Time)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.responses) >= responsesKept {
		clear(h.responses)
	}
	h.responses[ep.DstToString()] = response{e.Peer, e.Receiver, valid}
}

// initiationReceived checks mac1 at once and leaves the rest to run.
func (h *Tracker) initiationReceived(msg []byte, e *probe.Event) {
	if !noise.MAC1Valid(msg, &h.m.Identity.Load().MAC1) {
		e.Reason = probe.InvalidMAC1
		h.note(e, msg)
		return
	}
	r := waiting{e: *e}
	copy(r.msg[:], msg)
	select {
	case h.queue <- r:
	default: // not read, but recorded
		h.Uninspected.Add(1)
		h.note(e, msg)
	}
}

func (h *Tracker) note(e *probe.Event, msg []byte) {
	if e.Reason != probe.ReasonNone {
		h.m.Peers.Get(e.Peer).Drop(e.Reason, 1)
	}
	h.taps.Message(e, msg)
}

// Run reads the initiations that have come in, until done is closed.
func (h *Tracker) Run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case r := <-h.queue:
			if h.limit.Allow() {
				h.inspect(&r)
			} else {
				h.Uninspected.Add(1)
			}
			h.note(&r.e, r.msg[:])
		}
	}
}

// inspect finds out who sent an initiation.
func (h *Tracker) inspect(r *waiting) {
	own := h.m.Identity.Load()
	in := noise.ReadInitiation(r.msg[:], own)
	if !in.OK {
		r.e.Reason = probe.InvalidInitiation
		return
	}
	p := h.m.Peers.Find(in.Static)
	if p == nil || !p.Present() {
		r.e.Reason = probe.UnknownPeer
		r.e.SetStaticKey(in.Static)
		return
	}
	r.e.Peer = p.ID
	ts, ok := in.Timestamp(own)
	if !ok {
		r.e.Reason = probe.InvalidInitiation
		return
	}
	p.Handshake.Saw(ts, r.e.When())
}

// Initiator returns the peer that has made an initiation for this node, which need not have
// come to its socket; 0 if none has. Only who has a peer's private key, or has seen it
// pass, can send one that is the peer's. It returns false if there are too many to be read.
func (h *Tracker) Initiator(msg []byte) (peer probe.PeerID, read bool) {
	own := h.m.Identity.Load()
	if len(msg) != probe.LenInitiation || !noise.MAC1Valid(msg, &own.MAC1) {
		return 0, true
	}
	if !h.heard.Allow() {
		return 0, false
	}
	in := noise.ReadInitiation(msg, own)
	if !in.OK {
		return 0, true
	}
	p := h.m.Peers.Find(in.Static)
	if p == nil || !p.Present() {
		return 0, true
	}
	if _, ok := in.Timestamp(own); !ok {
		return 0, true
	}
	return p.ID, true
}

// Sent records a handshake message that goes to to, learns its indices and returns
// the peer that it is for.
func (h *Tracker) Sent(msg []byte, e *probe.Event, to netip.AddrPort) probe.PeerID {
	e.Time, e.Seam, e.PrefixBits = h.m.Clock.Now(), probe.SeamUDPSend, probe.NoPrefix
	e.OuterDst, e.OuterDstPort, e.OuterSrcPort = probe.AddrFrom(to.Addr()), to.Port(), uint16(h.m.Port.Load())
	if e.Kind == probe.KindCookie {
		e.Checkpoint = probe.B2
		h.taps.Message(e, msg)
		return 0
	}
	p := h.addressee(msg, to)
	e.Peer = p.ID
	e.Checkpoint = probe.A2
	initiator := e.Kind == probe.KindInitiation
	if p.ID != 0 {
		h.m.Local.Add(e.Sender, p.ID, initiator, e.Time)
		if initiator {
			p.Handshake.Sent(e.Sender, e.Time)
		}
	}
	if !initiator {
		e.Checkpoint = probe.B2
		if p.ID != 0 {
			h.m.Remote.Add(e.Receiver, p.ID, false, e.Time)
		}
	}
	h.keys.note(msg, e, p.Key)
	seq := h.taps.Message(e, msg)
	if p.ID != 0 {
		h.m.EndpointUsed(p, to, seq)
	}
	return p.ID
}

// About notes that the device is about to send a handshake message to a peer.
func (h *Tracker) About(p *mirror.Peer) {
	if p.ID != 0 {
		h.sending[h.next.Add(1)%sendingKept].Store(p)
	}
}

// addressee finds the peer that a handshake message is made for, by its mac1:
// only that peer's public key makes it valid. Those that the device has named last are
// tried first, then who was last sent to at the same address, and then all.
func (h *Tracker) addressee(msg []byte, to netip.AddrPort) *mirror.Peer {
	for at, i := h.next.Load(), uint32(0); i < sendingKept; i++ {
		p := h.sending[(at-i)%sendingKept].Load()
		if p == nil {
			break
		}
		if noise.MAC1Valid(msg, &p.MAC1) {
			return p
		}
	}
	h.mu.Lock()
	p := h.recipient[to]
	h.mu.Unlock()
	if p != nil && noise.MAC1Valid(msg, &p.MAC1) {
		return p
	}
	for p := range h.m.Peers.All() {
		if p.Present() && noise.MAC1Valid(msg, &p.MAC1) {
			h.mu.Lock()
			if len(h.recipient) > 2*h.m.Peers.Count() {
				clear(h.recipient)
			}
			h.recipient[to] = p
			h.mu.Unlock()
			return p
		}
	}
	return h.m.Peers.Get(0)
}

// Rejected is called as the device says that it could not use a response from
// a source. If that answers our latest initiation and is made for us, its
// sender has read our initiation, and what differs is the preshared key.
func (h *Tracker) Rejected(source string) {
	h.mu.Lock()
	r, ok := h.responses[source]
	h.mu.Unlock()
	if !ok || !r.mac1 || r.peer == 0 {
		return
	}
	e := probe.Event{Kind: probe.KindResponse, Checkpoint: probe.A3, Peer: r.peer, Receiver: r.index, Reason: probe.ResponseStale}
	if s := &h.m.Peers.Get(r.peer).Handshake; s.Outstanding.Load() == r.index {
		e.Reason = probe.ResponseRejected
		s.Rejected.Store(r.index)
	}
	if from, err := netip.ParseAddrPort(source); err == nil {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(from.Addr()), from.Port()
	}
	h.m.Record(e)
}

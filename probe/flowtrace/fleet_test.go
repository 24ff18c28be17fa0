package flowtrace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// host is one of a fleet: a tracer that is given the events of the packets that pass.
type host struct {
	name     string
	key      key.Public
	clock    int64 // ahead of everybody's
	t        *Tracer
	peers    []*session // by PeerID - 1
	seq      [8]uint64
	receipts map[uint64]int64
	spans    []Span
}

// session is one host's half of a tunnel: what the other is sent.
type session struct {
	to      *host
	peer    probe.PeerID // of the other
	back    probe.PeerID // of this one, there
	index   uint32
	counter uint64
}

func newHost(name string, clock int64, o Options) *host {
	h := &host{name: name, clock: clock, receipts: make(map[uint64]int64)}
	copy(h.key[:], name)
	o.Self = func() key.Public { return h.key }
	o.Peer = func(id probe.PeerID) (key.Public, string, bool) {
		if id == 0 || int(id) > len(h.peers) {
			return key.Public{}, "", false
		}
		return h.peers[id-1].to.key, h.peers[id-1].to.name, true
	}
	o.Receipt = func(seq uint64) (int64, bool) { at, ok := h.receipts[seq]; return at, ok }
	o.Out = func(spans []Span) { h.spans = append(h.spans, spans...) }
	h.t = New(o)
	return h
}

// tunnel makes two hosts peers.
func tunnel(a, b *host) {
	a.peers = append(a.peers, &session{to: b, index: uint32(len(a.spans)) + 100*uint32(a.key[0]) + uint32(b.key[0])})
	b.peers = append(b.peers, &session{to: a, index: 100*uint32(b.key[0]) + uint32(a.key[0])})
	pa, pb := a.peers[len(a.peers)-1], b.peers[len(b.peers)-1]
	pa.peer, pb.peer = probe.PeerID(len(a.peers)), probe.PeerID(len(b.peers))
	pa.back, pb.back = pb.peer, pa.peer
}

func (h *host) with(other *host) *session {
	i := slices.IndexFunc(h.peers, func(s *session) bool { return s.to == other })
	return h.peers[i]
}

// rekey is a handshake that h begins.
func (h *host) rekey(other *host, now int64, answered bool) {
	s, r := h.with(other), other.with(h)
	h.t.tell(&probe.Event{Time: now + h.clock, Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Peer: s.peer,
		Sender: r.index + 7000})
	if !answered {
		return
	}
	r.index += 7000
	s.index, s.counter, r.counter = s.index+7000, 0, 0
	other.t.tell(&probe.Event{Time: now + 1000 + other.clock, Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Checkpoint: probe.B1,
		Peer: r.peer, Sender: r.index})
	other.t.tell(&probe.Event{Time: now + 2000 + other.clock, Kind: probe.KindResponse, Seam: probe.SeamUDPSend, Checkpoint: probe.B2,
		Peer: r.peer, Receiver: r.index, Sender: s.index})
	h.t.tell(&probe.Event{Time: now + 3000 + h.clock, Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Checkpoint: probe.A3,
		Peer: s.peer, Receiver: r.index, Sender: s.index})
}

// tell gives a tracer an event that it wants.
func (t *Tracer) tell(e *probe.Event) {
	if t.Wanted(e) {
		t.Event(e)
	}
}

// packet is one that a host sends into a tunnel.
type packet struct {
	proto    uint8
	src, dst netip.AddrPort
	flags    uint8 // of TCP, or the type of ICMP
	seq      uint32
	stamp    uint32
	answer   bool
}

func (p *packet) event(h *host, seam probe.Seam, at int64) *probe.Event {
	h.seq[seam]++
	e := &probe.Event{Time: at + h.clock, Seq: h.seq[seam], Seam: seam, Kind: probe.KindInner, Proto: p.proto, Info: p.flags, InnerLen: 60,
		InnerSrc: probe.AddrFrom(p.src.Addr()), InnerSrcPort: p.src.Port(), InnerDst: probe.AddrFrom(p.dst.Addr()), InnerDstPort: p.dst.Port()}
	if p.proto == probe.ProtoTCP && (seam == probe.SeamTUNRead || seam == probe.SeamTUNWrite) {
		e.SetSegment(probe.Segment{Seq: p.seq, Stamp: p.stamp})
	}
	return e
}

// enters has a packet enter h's tunnel, and returns when it leaves on the other host. lost says that it
// gets no further than the path.
func (h *host) send(other *host, p *packet, now int64, lost bool) int64 {
	s := h.with(other)
	e := p.event(h, probe.SeamTUNRead, now)
	e.Peer, e.Checkpoint, e.Flags = s.peer, probe.A1, e.Flags|probe.FlagInitiatedHere
	if p.answer {
		e.Checkpoint, e.Flags = probe.B7, e.Flags&^probe.FlagInitiatedHere
	}
	read := e.Seq
	h.t.tell(e)
	m := p.event(h, probe.SeamUDPSend, now+10_000)
	m.Kind, m.Peer, m.Pair, m.Receiver, m.Counter = probe.KindData, s.peer, read, s.index, s.counter
	m.Checkpoint, m.Flags = probe.A4, probe.FlagInitiatedHere
	if p.answer {
		m.Checkpoint, m.Flags = probe.B8, 0
	}
	s.counter++
	h.t.tell(m)
	if lost {
		return 0
	}
	return other.receive(s.back, p, m, now+10_000+1_000_000)
}

func (h *host) receive(peer probe.PeerID, p *packet, m *probe.Event, now int64) int64 {
	r := p.event(h, probe.SeamUDPReceive, now)
	h.receipts[r.Seq] = r.Time
	w := p.event(h, probe.SeamTUNWrite, now+20_000)
	w.Peer, w.Pair, w.Receiver, w.Counter = peer, r.Seq, m.Receiver, m.Counter
	w.Checkpoint = probe.B4
	if p.answer {
		w.Checkpoint, w.Flags = probe.A6, w.Flags|probe.FlagInitiatedHere
	}
	h.t.tell(w)
	return now + 20_000
}

// drops has h drop a packet as it enters the tunnel, since no peer has its destination.
func (h *host) drops(p *packet, now int64) {
	e := p.event(h, probe.SeamTUNRead, now)
	e.Checkpoint, e.Flags, e.Reason = probe.A1, e.Flags|probe.FlagInitiatedHere, probe.NoAllowedIPsMatch
	h.t.tell(e)
}

// reply is what a server answers.
func (p *packet) reply() *packet {
	r := &packet{proto: p.proto, src: p.dst, dst: p.src, answer: true}
	switch p.proto {
	case probe.ProtoTCP:
		r.flags, r.seq, r.stamp = probe.TCPSyn|probe.TCPAck, p.seq+1, p.stamp+99
	case probe.ProtoICMP:
		r.src, r.dst = netip.AddrPortFrom(p.dst.Addr(), p.src.Port()), netip.AddrPortFrom(p.src.Addr(), p.dst.Port())
	}
	return r
}

// nat is a packet as a hub sends it on under another name.
func (p *packet) nat(a netip.Addr) *packet {
	q := *p
	if p.answer {
		q.dst = netip.AddrPortFrom(a, p.dst.Port())
	} else {
		q.src = netip.AddrPortFrom(a, p.src.Port())
	}
	return &q
}

// fleet is two spokes and a hub.
type fleet struct{ a, hub, b *host }

func newFleet(o Options) *fleet {
	f := &fleet{newHost("alpha", 0, o), newHost("hub", 3e9, o), newHost("beta", -2e9, o)}
	tunnel(f.a, f.hub)
	tunnel(f.hub, f.b)
	return f
}

func (f *fleet) hosts() []*host { return []*host{f.a, f.hub, f.b} }

// tick lets time pass until nothing is awaited.
func (f *fleet) tick(now int64) {
	for _, h := range f.hosts() {
		h.t.Tick(now + h.clock)
	}
}

// goes has a packet and its answer go from alpha to beta by the hub, which translates if it has an
// address for that.
func (f *fleet) goes(p *packet, now int64, translated netip.Addr) {
	own := p.src.Addr()
	now = f.a.send(f.hub, p, now, false) + 50_000
	if translated.IsValid() {
		p = p.nat(translated)
	}
	now = f.hub.send(f.b, p, now, false) + 200_000
	r := p.reply()
	now = f.b.send(f.hub, r, now, false) + 50_000
	if translated.IsValid() {
		r = r.nat(own)
	}
	f.hub.send(f.a, r, now, false)
}

// placed is a span and whose it is.
type placed struct {
	Span
	host string
}

// traces are all spans of a fleet by their trace.
func (f *fleet) traces() map[TraceID][]placed {
	all := make(map[TraceID][]placed)
	for _, h := range f.hosts() {
		for _, s := range h.spans {
			all[s.Trace] = append(all[s.Trace], placed{s, h.name})
		}
	}
	return all
}

// tree draws a trace, each span below its parent, in the order in which they were handed out.
func tree(spans []placed) string {
	var b strings.Builder
	ids := make(map[SpanID]bool)
	for _, s := range spans {
		ids[s.ID] = true
	}
	var draw func(parent SpanID, depth int)
	draw = func(parent SpanID, depth int) {
		for _, s := range spans {
			if s.Parent == parent || parent == (SpanID{}) && !ids[s.Parent] {
				orphan := ""
				if s.Parent != (SpanID{}) && parent == (SpanID{}) {
					orphan = " (no parent)"
				}
				fmt.Fprintf(&b, "%s%s %s%s", strings.Repeat("  ", depth), s.host, s.Name, orphan)
				if s.Error != "" {
					fmt.Fprintf(&b, " ! %s", s.Error)
				}
				b.WriteByte('\n')
				draw(s.ID, depth+1)
			}
		}
	}
	draw(SpanID{}, 0)
	return b.String()
}

func syn(n int) *packet {
	return &packet{proto: probe.ProtoTCP, flags: probe.TCPSyn, seq: uint32(n) * 2654435761, stamp: uint32(n)*40503 + 1,
		src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), uint16(30000+n%20000)),
		dst: netip.MustParseAddrPort("10.2.0.1:443")}
}

func only(t *testing.T, f *fleet) string {
	t.Helper()
	var all []string
	for _, spans := range f.traces() {
		if spans[0].Name != "A2-A3" && spans[0].Name != "B1-B2" {
			all = append(all, tree(spans))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "--\n")
}

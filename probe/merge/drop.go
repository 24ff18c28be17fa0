package merge

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file joins what the kernels of the hosts have dropped with messages, by their numbers, and
// with flows, by their addresses and ports.

// dropsKept bounds how many packets that kernels have dropped are kept.
const dropsKept = 10_000

// ByKernel says which host's kernel has dropped a packet, and why, in the kernel's words.
type ByKernel struct {
	Host   string `json:"host"`
	Reason string `json:"reason"`
	Place  string `json:"place,omitempty"` // the kernel's function
	Hook   string `json:"hook,omitempty"`  // part of the path: "ingress", "prerouting", "input", ...
	Device string `json:"device,omitempty"`
	// Proven says that this reason at this place proves that the packet is lost. Else it is a
	// hint: packets of connections that work may have it, too.
	Proven bool `json:"proven"`
}

// String is "dropped by the kernel of hub: TC_EGRESS in __dev_queue_xmit, at eth0".
func (b *ByKernel) String() string {
	d := evidence.KernelDrop{Reason: b.Reason, Place: b.Place, Device: b.Device}
	text := fmt.Sprintf("dropped by the kernel of %s: %s", b.Host, d.Where())
	if !b.Proven {
		text += " (a hint: that alone proves no loss)"
	}
	return text
}

// Dropped is a packet that a host's kernel has dropped.
type Dropped struct {
	ByKernel
	Time time.Time `json:"time"`
	// Segment is where on its way: "to-tunnel", "to-wire", "from-wire", "from-tunnel"; "" if that
	// is not known.
	Segment evidence.Segment `json:"segment"`
	Packet  string           `json:"packet"`
	// Of an encrypted packet the kind and the numbers of the message, as of [Lost].
	Kind     string `json:"kind,omitempty"`
	Receiver uint32 `json:"receiver,omitempty"`
	Sender   uint32 `json:"sender,omitempty"`
	Counter  uint64 `json:"counter,omitempty"`
	// From and To are the hosts of the message, if it is among those that were lost, and Leg the
	// checkpoints before and after.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Leg  string `json:"leg,omitempty"`
	// The flow that the packet is of, where that is known.
	Client netip.Addr     `json:"client,omitzero"`
	Target netip.AddrPort `json:"target,omitzero"`

	drop   *recording.Drop
	event  probe.Event
	host   int8
	at     int64 // reference time
	joined bool  // with a message that was lost
	hop    *hop
	forth  bool
}

// dropped takes into account what the kernel of a host has dropped.
func (m *merger) dropped(h *host, e *probe.Event, d *recording.Drop) {
	if len(m.drops) >= dropsKept {
		m.dropsLeft++
		return
	}
	one := &Dropped{ByKernel: ByKernel{Host: h.label(), Reason: d.Reason, Place: d.Place, Hook: d.Hook, Device: d.Device, Proven: !d.Hint},
		Time: time.Unix(0, h.headAt).UTC(), Segment: d.Segment, Packet: d.Packet, drop: d, event: *e, host: h.index, at: h.headAt}
	m.drops = append(m.drops, one)
	if e.Kind == probe.KindInner {
		return
	}
	one.Kind, one.Receiver, one.Sender, one.Counter = e.Kind.String(), e.Receiver, e.Sender, e.Counter
	k, ok := numbersOf(e)
	switch {
	case !ok || d.Hint:
		return
	case k.what == Data && d.Segment == evidence.FromWire:
		k.to = h.index
	case k.what == Data:
		k.to = h.other(e.Peer)
	}
	m.droppedAt[k] = one
}

// dropOf is what a kernel has told of a message that nobody got, nil if none has: that of the host
// which sent it, or of the one that it was for.
func (m *merger) dropOf(t *transit) *Dropped {
	d := m.droppedAt[t.message]
	if d == nil || d.Segment == evidence.ToWire && d.host != t.from || d.Segment == evidence.FromWire && d.host != t.addressee ||
		!d.Segment.Known() {
		return nil
	}
	return d
}

// joins notes which message it was that a kernel has dropped.
func (d *Dropped) joins(t *transit, l *Lost) {
	d.joined, d.hop, d.forth = true, t.hop, t.forth
	d.From, d.To, d.Leg, d.Client, d.Target = l.From, l.To, l.Leg, l.Client, l.Target
}

// dropsOfFlows finds the flows of packets that kernels have dropped. It comes when all events were
// read: what a kernel drops may be told before the event of the same packet.
func (m *merger) dropsOfFlows() {
	of := make(map[chainKey][]*hop)
	for _, f := range m.hops {
		of[f.chain()] = append(of[f.chain()], f)
	}
	for _, d := range m.drops {
		if d.Kind == "" && d.at >= m.since && !d.event.ICMPError() {
			if d.hop, d.forth = m.flowOfDrop(d, of); d.hop != nil {
				d.Client, d.Target = d.hop.key.client.Netip(), d.hop.target()
			}
		}
		if d.hop != nil {
			d.hop.kernel = append(d.hop.kernel, d)
		}
	}
}

// flowOfDrop is the flow of an inner packet that a kernel has dropped, and whether it goes towards
// the service. One that was to enter the tunnel, and never did, begins a flow.
func (m *merger) flowOfDrop(d *Dropped, of map[chainKey][]*hop) (f *hop, forth bool) {
	e := &d.event
	sport, dport := e.InnerSrcPort, e.InnerDstPort
	if e.Proto != probe.ProtoTCP && e.Proto != probe.ProtoUDP || e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 {
		sport, dport = 0, 0
	}
	request := chainKey{e.InnerSrc, e.InnerDst, dport, e.Proto}
	for _, way := range []struct {
		key   chainKey
		forth bool
	}{{request, true}, {chainKey{e.InnerDst, e.InnerSrc, sport, e.Proto}, false}} {
		for _, f := range of[way.key] {
			atA := way.forth == (d.Segment == evidence.ToTunnel) // the host is the flow's A
			if f.a == d.host && (atA || !d.Segment.Known()) || f.b == d.host && (!atA || !d.Segment.Known()) {
				return f, way.forth
			}
		}
	}
	h := m.hosts[d.host]
	if d.Segment != evidence.ToTunnel || !d.Proven || !e.Asks() || h.keys[e.Peer] == 0 {
		return nil, false
	}
	k := hopKey{a: h.self, b: h.keys[e.Peer], client: e.InnerSrc, server: e.InnerDst, port: dport, proto: e.Proto}
	if f = m.hops[k]; f == nil {
		if f = m.newHop(k); f == nil {
			return nil, false
		}
		f.began = d.at
		of[request] = append(of[request], f)
	}
	return f, true
}

// chain is what the flow's other hops have in common with it.
func (f *hop) chain() chainKey { return chainKey{f.key.client, f.key.server, f.key.port, f.key.proto} }

// attest adds to the facts about a flow at one of its hosts what that host's kernel has dropped of its
// packets, where the host's own observations do not say more. A flow that was answered has no
// use for it, and of one that is not any more what came before does not count.
func (f *hop) attest(h *host, facts *diagnose.Facts, end int64) {
	if h == nil || facts == nil || f.replies > 0 && !f.failed(end) {
		return
	}
	attest(h, facts, f.kernel, func(d *Dropped) bool { return f.replies == 0 || d.at >= f.askedAt })
}

// attest is the same for handshakes between two hosts.
func (m *merger) attest(h *host, facts *diagnose.Facts, other *host) {
	if facts == nil {
		return
	}
	attest(h, facts, m.drops, func(d *Dropped) bool {
		return d.joined && !d.drop.Data && (d.From == other.label() || d.To == other.label())
	})
}

func attest(h *host, facts *diagnose.Facts, drops []*Dropped, wants func(*Dropped) bool) {
	var said [evidence.FromTunnel + 1]bool // by observations
	for s := range said {
		said[s] = facts.Kernel.On(evidence.Segment(s)).KernelDrop != nil
	}
	for _, d := range drops {
		if d.host != h.index || !d.Segment.Known() || said[d.Segment] || !wants(d) {
			continue
		}
		if facts.Kernel == nil {
			facts.Kernel = &evidence.KernelEvidence{Blind: "the recording holds what the kernel drops, and not what else it does with packets"}
		}
		one := d.drop.KernelDrop
		if d.joined {
			one.Claimed = false // it is one that the other host has sent, by its numbers
		}
		facts.Kernel.On(d.Segment).AddDrop(one)
	}
}

// lostAt is the checkpoint that the packet would have come to next.
func (d *Dropped) lostAt() probe.Checkpoint {
	next := map[evidence.Segment][2]probe.Checkpoint{
		evidence.ToTunnel: {probe.A1, probe.B7}, evidence.ToWire: {probe.B3, probe.A5},
		evidence.FromWire: {probe.B3, probe.A5}, evidence.FromTunnel: {probe.B5, probe.A6}}
	if cps, ok := next[d.Segment]; ok {
		return cps[way(d.forth)]
	}
	return probe.CheckpointNone
}

// placeDrops puts what kernels have dropped of a flow into its ladder: on the rung that the packet
// would have come to next, if no packet has passed that, or the packet had passed it.
func (f *hop) placeDrops(rungs []diagnose.Rung, end int64) {
	if f.replies > 0 && !f.failed(end) {
		return
	}
	for i := range rungs {
		r := &rungs[i]
		var latest *Dropped
		n := 0
		for _, d := range f.kernel {
			if d.Proven && d.lostAt() == r.Checkpoint && (f.replies == 0 || d.at >= f.askedAt) {
				latest = d
				n++
			}
		}
		if latest == nil {
			continue
		}
		text := latest.String()
		if n > 1 {
			text += fmt.Sprintf("; %d packets in all", n)
		}
		switch {
		case r.Status != diagnose.Pass:
			r.Detail, r.Time = text, latest.Time
		case r.Checkpoint == probe.A6:
			r.Detail += "; then " + text
		}
	}
}

// kernelDrops is what kernels have dropped, for the result.
func (m *merger) kernelDrops() []Dropped {
	all := make([]Dropped, 0, len(m.drops))
	for _, d := range m.drops {
		all = append(all, *d)
	}
	slices.SortStableFunc(all, func(a, b Dropped) int { return a.Time.Compare(b.Time) })
	return all
}

package observe

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Source delivers observations of one kind. A [Session] calls its methods, one at a
// time; the observations are received by another goroutine meanwhile. Who makes a source
// may ask for what is unseen between two calls of the session's.
type Source interface {
	// Start begins to observe what sel selects, until ctx ends or Close is
	// called. An error says why nothing can be observed. Start may be called
	// again to go on with another selection: nothing is delivered after it that
	// was observed with an earlier one.
	Start(ctx context.Context, sel Selection) error
	// Observations is where they are delivered, always the same channel. A source
	// that has nothing more to deliver may close it.
	Observations() <-chan Observation
	// Unseen says what may happen unobserved, or has, one sentence each.
	Unseen() []string
	// Close ends the source. It is called once, also after a Start that failed.
	Close() error
}

// Syncer is a source that hears of things some time after they have happened.
type Syncer interface {
	Source
	// Sync has the source deliver an observation that has the mark, behind all of what had
	// happened before the call. It returns false if it does not: it observes nothing.
	Sync(mark int64) bool
}

// Selection is what to observe. A source takes what concerns it.
type Selection struct {
	// Packets select the packets that are followed through netfilter. A packet
	// that several select belongs to the first of them.
	Packets []Match
	// Tunnel has what the kernel drops of a tunnel's packets observed, inside of it and
	// encrypted, beside those of Packets; nil: of none.
	Tunnel *Tunnel
}

// Tunnel is what tells a tunnel's packets from others.
type Tunnel struct {
	Device uint32 // the index of its interface
	Port   uint16 // of encrypted packets
	drops.Addresses
	// Look returns the addresses as they are now. It is asked every few seconds; it may be nil.
	Look func() (drops.Addresses, error)
}

// Match selects packets on one segment of a flow's path through this host.
type Match struct {
	netfilter.Match
	On evidence.Segment
}

// Add has packets followed that are on a segment.
func (s *Selection) Add(on evidence.Segment, matches ...netfilter.Match) {
	for _, m := range matches {
		s.Packets = append(s.Packets, Match{m, on})
	}
}

// Observation is one thing that was observed. Exactly one field is set.
type Observation struct {
	// Events are the tunnel's, in the order of their times. The slice belongs to
	// who receives the observation.
	Events []probe.Event
	// Packet is one that netfilter has seen.
	Packet *Packet
	// Outcome is how an attempt ended.
	Outcome *Outcome
	// Dropped is a packet that the kernel has dropped.
	Dropped *Dropped
	// Initiation is one that has come in at a device, as it was there.
	Initiation []byte
	// Unseen says what has turned out not to be observable, in one sentence.
	Unseen string
	// Hooks are what is on the way of packets and may drop them unseen.
	Hooks []evidence.Hook
	// Counters are the kernel's that have risen since watching began, all of them each
	// time that one has.
	Counters []evidence.Counter

	mark int64 // see Syncer
}

// Packet is the traversal of one packet through this host's netfilter hooks.
type Packet struct {
	*netfilter.Packet
	// Match is the one that selected it.
	Match Match
	// rules finds the rules that it met, dry tries others.
	rules ruleFinder
	dry   *dryRules
}

// Head is the beginning of an encrypted message, by which it tells whose it is; nil if there
// is none.
func (p *Packet) Head() []byte {
	if h := p.First; h.Proto == probe.ProtoUDP && !h.Fragment && h.Payload() >= headLen {
		return h.Data[:]
	}
	return nil
}

// headLen is how many bytes that are.
const headLen = 12

// ruleFinder finds the rule that took a step, see [netfilter.Tracer.Rule].
type ruleFinder interface {
	Rule(netfilter.Chain, netfilter.Step) (netfilter.Rule, error)
}

// GoOn adds what the packet met at the egress of a device, which netfilter shows as a
// packet of its own after this one has passed postrouting. It returns false, and adds
// nothing, if next is another packet.
func (p *Packet) GoOn(next *Packet) bool {
	if next.Start != netfilter.Egress || p.End != netfilter.Postrouting || p.Last.Proto != next.First.Proto ||
		p.Last.Source() != next.First.Source() || p.Last.Destination() != next.First.Destination() ||
		p.Last.Length != next.First.Length || p.Last.Data != next.First.Data {
		return false
	}
	whole := *p.Packet
	whole.End, whole.Last, whole.Visits = netfilter.HookUnknown, next.Last, slices.Concat(p.Visits, next.Visits)
	p.Packet = &whole
	return true
}

// Outcome is how an attempt ended, such as to send a probe and get an answer.
type Outcome struct {
	Err        error // nil if it succeeded
	Start, End time.Time
}

// Dropped is a packet that the kernel has dropped. The name of the device is left to who
// is in the network namespace.
type Dropped struct {
	evidence.KernelDrop
	Device uint32 // the index, 0 if it was at none
	// Matched: one of the selected packets, On a segment. Else it is a tunnel's.
	Matched bool
	On      evidence.Segment
	Event   probe.Event // its inner fields say what the headers do
	Header  [drops.HeaderLen]byte
	Report  *drops.Drop // by which it is known
}

// Index returns the receiver index of an encrypted message, and of data the counter.
func (d *Dropped) Index() (index uint32, counter uint64, ok bool) {
	m := d.message()
	switch {
	case m == nil:
	case m[0] == probe.TypeResponse: // its own index, then ours
		return binary.LittleEndian.Uint32(m[8:]), 0, true
	case m[0] == probe.TypeCookie:
		return binary.LittleEndian.Uint32(m[4:]), 0, true
	case m[0] == probe.TypeData:
		return binary.LittleEndian.Uint32(m[4:]), binary.LittleEndian.Uint64(m[8:]), true
	}
	return 0, 0, false
}

// Sender returns the sender's index of an initiation, 0 for other packets.
func (d *Dropped) Sender() uint32 {
	if m := d.message(); m != nil && m[0] == probe.TypeInitiation {
		return binary.LittleEndian.Uint32(m[4:])
	}
	return 0
}

// Head is the beginning of an encrypted message, by which it tells whose it is; nil if there
// is none.
func (d *Dropped) Head() []byte {
	if m := d.message(); m != nil {
		return m[:headLen]
	}
	return nil
}

// message is the header of an encrypted message, nil if there is none.
func (d *Dropped) message() []byte {
	at := int(d.Header[0]&0x0f)*4 + 8
	if d.Event.InnerSrc.Netip().Is6() {
		at = 40 + 8
	}
	if d.Event.Proto != probe.ProtoUDP || d.Event.Flags&probe.FlagFragment != 0 || at+16 > len(d.Header) {
		return nil
	}
	return d.Header[at:]
}

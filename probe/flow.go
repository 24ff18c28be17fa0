package probe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// Flows remembers for each flow which side sent its first inner packet, and so
// whether this node is its A or its B. A flow is told by its addresses,
// protocol, ports and peer: a hub is B towards the spoke that a flow comes
// from and A towards the one that it goes to.
//
// It is a fixed-size, set-associative table of one word a flow, without locks,
// shared by both directions: forgetting the flow that was idle longest is what
// happens when a set is full. A flow that is not known (any more) is judged by
// what its packet shows: TCP flags, ICMP echo type, port numbers; else the
// sender of the packet at hand counts as its first.
type Flows struct {
	seed  uint64
	sets  []flowSet
	frags fragments
}

// A flowSet is one cache line. A slot holds 46 bits of the flow's hash, a
// valid bit, the direction bit, and the coarse time of last use.
type flowSet [8]atomic.Uint64

const (
	flowEpochBits = 16
	flowEpochMask = 1<<flowEpochBits - 1
	flowHere      = 1 << flowEpochBits
	flowValid     = 1 << (flowEpochBits + 1)
	flowTagMask   = ^uint64(flowEpochMask | flowHere | flowValid)
	flowEpoch     = 4e9 // nanoseconds
	// flowIdle is for how many epochs a flow of a protocol without
	// connections is remembered: 180 s.
	flowIdle = 45

	// DefaultFlows is how many flows a node remembers: 1 MiB.
	DefaultFlows = 1 << 17
)

// NewFlows returns a table for about n flows.
func NewFlows(n int) *Flows {
	sets := 1 << bits.Len(uint(max(n/8, 1)-1))
	return &Flows{seed: rand.Uint64() | 1, sets: make([]flowSet, sets)}
}

// Key is the hash of the flow that an inner packet belongs to; it is the same
// for both directions. Zero stands for none.
type Key uint64

// Key computes the key of the packet that e was decoded from with success; b
// is that packet. Packets that quote another one (ICMP errors) belong to the
// quoted packet's flow; quoted reports that, and then e's sender counts as the
// quoted packet's receiver. A later fragment belongs to the flow of its
// datagram's first one, if that has passed.
func (f *Flows) Key(e *Event, b []byte) (k Key, quoted bool) {
	if e.ICMPError() {
		if k, ok := f.quotedKey(e, b); ok {
			return k, true
		}
	}
	k = f.hash(e)
	if d, ok := f.datagram(e, b); ok {
		if e.Flags&FlagFragment == 0 {
			f.frags.put(d, k)
		} else if first, ok := f.frags.get(d); ok {
			k = first
		}
	}
	return k, false
}

func (f *Flows) quotedKey(e *Event, b []byte) (Key, bool) {
	var q Event
	if off := icmpPayload(b); off == 0 || !q.decodeQuoted(b[off:]) {
		return 0, false
	}
	q.Peer = e.Peer
	return f.hash(&q), true
}

func icmpPayload(b []byte) int {
	off := 48 // IPv6 header and ICMPv6 header; errors carry no extension headers in practice
	if b[0]>>4 == 4 {
		off = int(b[0]&0x0f)*4 + 8
	}
	if off >= len(b) {
		return 0
	}
	return off
}

func (f *Flows) hash(e *Event) Key {
	s0, s1 := binary.NativeEndian.Uint64(e.InnerSrc[:]), binary.NativeEndian.Uint64(e.InnerSrc[8:])
	d0, d1 := binary.NativeEndian.Uint64(e.InnerDst[:]), binary.NativeEndian.Uint64(e.InnerDst[8:])
	sp, dp := uint64(e.InnerSrcPort), uint64(e.InnerDstPort)
	if e.Proto == ProtoICMP || e.Proto == ProtoICMPv6 {
		dp = sp // identifier; the sequence number is no part of the flow
	}
	// Sums and exclusive-ors of the mixed halves are the same both ways.
	src := mix(s0^f.seed, s1^sp<<48^sp)
	dst := mix(d0^f.seed, d1^dp<<48^dp)
	return Key(mix(src+dst, src^dst^uint64(e.Proto)<<32^uint64(e.Peer)) | 1)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

// Here notes a packet of flow k that crosses towards the tunnel (outbound) or
// out of it, at time now (nanoseconds), and reports whether the flow's first
// packet was sent from this side.
func (f *Flows) Here(k Key, e *Event, outbound, quoted bool, now int64) bool {
	here, _ := f.Note(k, e, outbound, quoted, now)
	return here
}

// FlowRef is where a flow is noted. The zero FlowRef is of none.
type FlowRef struct {
	slot *atomic.Uint64
	word uint64
}

// Here is what [Flows.Here] would say of another packet of the flow, but one
// that proves nothing about who began it: a SYN, an echo, or what quotes another
// packet. It reports false if it cannot tell, because the flow was forgotten or
// noted again since.
func (r *FlowRef) Here(now int64) (here, ok bool) {
	if r.slot == nil || uint64(now/flowEpoch)&flowEpochMask != r.word&flowEpochMask || r.slot.Load() != r.word {
		return false, false
	}
	return r.word&flowHere != 0, true
}

// Note is Here, and tells where the flow is noted.
func (f *Flows) Note(k Key, e *Event, outbound, quoted bool, now int64) (here bool, ref FlowRef) {
	set := &f.sets[uint64(k)>>40&uint64(len(f.sets)-1)]
	tag := uint64(k)<<18&flowTagMask | flowValid
	epoch := uint64(now/flowEpoch) & flowEpochMask
	first, certain := firstSender(e, outbound != quoted)
	victim, oldest := 0, uint64(0)
	for i := range set {
		v := set[i].Load()
		if v&(flowTagMask|flowValid) == tag {
			idle := (epoch - v) & flowEpochMask
			here := v&flowHere != 0
			if certain || idle > flowIdle && e.Proto != ProtoTCP {
				here = first
			}
			if idle != 0 || here != (v&flowHere != 0) {
				v = slot(tag, here, epoch)
				set[i].Store(v)
			}
			return here, FlowRef{&set[i], v}
		}
		age := (epoch - v) & flowEpochMask
		if v&flowValid == 0 {
			age = flowEpochMask + 1
		}
		if age >= oldest {
			victim, oldest = i, age
		}
	}
	v := slot(tag, first, epoch)
	set[victim].Store(v)
	return first, FlowRef{&set[victim], v}
}

func slot(tag uint64, here bool, epoch uint64) uint64 {
	if here {
		return tag | flowHere | epoch
	}
	return tag | epoch
}

// firstSender guesses from one packet, sent from here if outbound, whether
// this side sent the first packet of its flow, and says whether the packet
// proves it.
func firstSender(e *Event, outbound bool) (here, certain bool) {
	if e.Flags&FlagFragment != 0 {
		return outbound, false // there is no header to judge by
	}
	if e.Opens() {
		return outbound, true
	}
	switch e.Proto {
	case ProtoTCP:
		if e.TCPFlags()&(TCPSyn|TCPAck) == TCPSyn|TCPAck {
			return !outbound, true
		}
		// In the middle of a connection: the lower port is the server's, if
		// it is one of those that servers have.
		if e.InnerSrcPort < 1024 && e.InnerDstPort >= 1024 {
			return !outbound, false
		}
	case ProtoICMP, ProtoICMPv6:
		if _, reply := e.ICMPEcho(); reply {
			return !outbound, true
		}
	}
	return outbound, false
}

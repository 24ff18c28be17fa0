package filter

import (
	"encoding/binary"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// Filter is a compiled filter. The zero Filter and a nil *Filter match every
// event. A Filter does not change and may be used by several goroutines.
type Filter struct {
	terms []term // in canonical order, for String

	constrained bool
	// The values that the event's field may have. Terms that are more than a
	// list of values (direction, verdict) are folded into these.
	seams, checkpoints, kinds, reasons, protos set

	peers []peerTest
	addrs []addrTest
}

// set is a set of values of a field that has one byte: a bit for each. It has room for
// those that only a later release knows, too.
type set [4]uint64

// everything is the set of all values.
var everything = set{}.complement()

func (s *set) add(v uint8) { s[v>>6] |= 1 << (v & 63) }

// has is 1 if v is in the set, 0 if it is not.
func (s *set) has(v uint8) uint64 { return s[v>>6] >> (v & 63) & 1 }

func (s *set) unite(other *set) {
	for i := range s {
		s[i] |= other[i]
	}
}

func (s *set) intersect(other *set) {
	for i := range s {
		s[i] &= other[i]
	}
}

func (s set) complement() set {
	for i := range s {
		s[i] = ^s[i]
	}
	return s
}

type peerTest struct {
	ids  []probe.PeerID
	want bool
}

type addrTest struct {
	key      termKey
	prefixes []prefix
	ports    []portRange
	want     bool
}

// prefix is an address prefix in the form of [probe.Addr], as two big-endian
// halves that are compared under a mask.
type prefix struct {
	hi, lo, hiMask, loMask uint64
	is4                    bool
}

type portRange struct{ first, last uint16 }

// Match reports whether f matches e. It does not allocate.
func (f *Filter) Match(e *probe.Event) bool {
	return f == nil || !f.constrained || f.match(e)
}

func (f *Filter) match(e *probe.Event) bool {
	if f.seams.has(uint8(e.Seam))&f.checkpoints.has(uint8(e.Checkpoint))&f.kinds.has(uint8(e.Kind))&
		f.reasons.has(uint8(e.Reason))&f.protos.has(e.Proto) == 0 {
		return false
	}
	for i := range f.peers {
		if f.peers[i].matches(e) != f.peers[i].want {
			return false
		}
	}
	for i := range f.addrs {
		if f.addrs[i].matches(e) != f.addrs[i].want {
			return false
		}
	}
	return true
}

func (t *peerTest) matches(e *probe.Event) bool {
	for _, id := range t.ids {
		if id == e.Peer {
			return true
		}
	}
	return false
}

func (t *addrTest) matches(e *probe.Event) bool {
	if t.key.what == whatPort {
		return t.matchesPort(e)
	}
	src, dst := &e.InnerSrc, &e.InnerDst
	if t.key.outer {
		src, dst = &e.OuterSrc, &e.OuterDst
		if e.Flags&probe.FlagQuotes != 0 {
			dst = &noAddr
		}
	} else if !e.HasAddrs() {
		return false
	}
	return t.key.side != sideDst && t.containsAddr(src) ||
		t.key.side != sideSrc && t.containsAddr(dst)
}

// noAddr stands for an outer address where the event holds an ICMP error's quote.
var noAddr probe.Addr

func (t *addrTest) containsAddr(a *probe.Addr) bool {
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	if hi|lo == 0 {
		return false // no address
	}
	is4 := a.Is4()
	for i := range t.prefixes {
		p := &t.prefixes[i]
		if hi&p.hiMask == p.hi && lo&p.loMask == p.lo && is4 == p.is4 {
			return true
		}
	}
	return false
}

func (t *addrTest) matchesPort(e *probe.Event) bool {
	src, dst := e.InnerSrcPort, e.InnerDstPort
	if t.key.outer {
		src, dst = e.OuterSrcPort, e.OuterDstPort
		if e.Flags&probe.FlagQuotes != 0 {
			dst = 0
		}
	} else if e.Proto != probe.ProtoTCP && e.Proto != probe.ProtoUDP {
		return false // ICMP echo keeps other things in the place of ports
	}
	return t.key.side != sideDst && t.containsPort(src) ||
		t.key.side != sideSrc && t.containsPort(dst)
}

func (t *addrTest) containsPort(p uint16) bool {
	for _, r := range t.ports {
		if r.first <= p && p <= r.last {
			return true
		}
	}
	return false
}

// String returns the canonical form of f, which compiles to the same filter:
// one term a key, in a fixed order, and no word left out. It is empty for a
// filter that matches everything.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	var b strings.Builder
	for i := range f.terms {
		t := &f.terms[i]
		if i > 0 {
			b.WriteByte(' ')
		}
		if t.not {
			b.WriteString("not ")
		}
		b.WriteString(t.key.String())
		b.WriteByte(' ')
		list := make([]string, len(t.values))
		for j := range t.values {
			list[j] = t.values[j].text
		}
		// Only the names of peers ever need quotes.
		b.WriteString(quote(strings.Join(list, ",")))
	}
	return b.String()
}

// newFilter compiles terms, which are in canonical order.
func newFilter(terms []term) *Filter {
	f := &Filter{terms: terms, constrained: len(terms) > 0,
		seams: everything, checkpoints: everything, kinds: everything, reasons: everything, protos: everything}
	for i := range terms {
		f.add(&terms[i])
	}
	return f
}

func (f *Filter) add(t *term) {
	var values set
	peers := peerTest{want: !t.not}
	addrs := addrTest{key: t.key, want: !t.not}
	for i := range t.values {
		v := &t.values[i]
		values.unite(&v.set)
		peers.ids = append(peers.ids, v.peers...)
		addrs.prefixes = append(addrs.prefixes, v.prefix)
		addrs.ports = append(addrs.ports, v.ports)
	}
	if t.not {
		values = values.complement()
	}
	switch t.key.what {
	case whatPeer:
		f.peers = append(f.peers, peers)
	case whatHost, whatNet, whatPort:
		f.addrs = append(f.addrs, addrs)
	case whatCheckpoint:
		f.checkpoints.intersect(&values)
	case whatSeam, whatDirection:
		f.seams.intersect(&values)
	case whatKind:
		f.kinds.intersect(&values)
	case whatVerdict, whatReason:
		f.reasons.intersect(&values)
	case whatProto:
		f.protos.intersect(&values)
	}
}

//go:build linux

package dryrun

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Packet is what is known of a packet as it enters a hook. It has no options, no extension
// headers, and is no fragment.
type Packet struct {
	Src, Dst         netip.Addr
	Proto            uint8
	SrcPort, DstPort uint16
	ICMPType         uint8
	TCPFlags         uint8
	// In and Out are the links, "" where there is none.
	In, Out           string
	InIndex, OutIndex uint32
	Mark              uint32
	MarkUnknown       bool
	// State is one of the states of connection tracking, 0: not known.
	State netfilter.State
	Reply bool
	// Untold is set where the source or the destination is not known yet, because it will
	// be translated: then no rule's word about it counts.
	Untold Side
	// AddrType is what routing says of an address: RTN_LOCAL and so on
	// (linux/rtnetlink.h). nil: not known.
	AddrType func(netip.Addr) (kind uint8, ok bool)
}

// Side is an end of a packet's way.
type Side uint8

// The sides.
const (
	Neither Side = iota
	Source
	Destination
)

// Answer is the packet that answers p, as it comes to this host or leaves it.
func (p Packet) Answer() Packet {
	a := p
	a.Src, a.Dst, a.SrcPort, a.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
	a.In, a.Out, a.InIndex, a.OutIndex = p.Out, p.In, p.OutIndex, p.InIndex
	a.Reply, a.Mark, a.MarkUnknown, a.Untold = true, 0, false, Neither
	if a.State = netfilter.Established; p.State == netfilter.Untracked {
		a.State = netfilter.Untracked
	}
	const syn, ack = 0x02, 0x10
	if p.Proto == unix.IPPROTO_TCP {
		a.TCPFlags = syn | ack
	}
	switch {
	case p.Proto == unix.IPPROTO_ICMP && p.ICMPType == 8:
		a.ICMPType = 0
	case p.Proto == unix.IPPROTO_ICMPV6 && p.ICMPType == 128:
		a.ICMPType = 129
	}
	return a
}

func (p *Packet) is4() bool { return p.Src.Is4() }

// header is bytes of which some are known.
type header struct {
	b     []byte
	known []bool
}

func newHeader(n int) header { return header{make([]byte, n), make([]bool, n)} }

func (h header) set(at int, b ...byte) {
	copy(h.b[at:], b)
	for i := range b {
		h.known[at+i] = true
	}
}

// network is the IP header.
func (p *Packet) network() header {
	if p.is4() {
		h := newHeader(20)
		h.set(0, 0x45)
		h.set(9, p.Proto)
		h.set(12, p.Src.AsSlice()...)
		h.set(16, p.Dst.AsSlice()...)
		h.set(6, 0x40, 0) // as TCP and echo are sent; no fragment
		h.known[6] = false
		p.forget(h, 12, 4)
		return h
	}
	h := newHeader(40)
	h.set(6, p.Proto)
	h.set(8, p.Src.AsSlice()...)
	h.set(24, p.Dst.AsSlice()...)
	p.forget(h, 8, 16)
	return h
}

// forget makes the address unknown that is untold.
func (p *Packet) forget(h header, at, size int) {
	switch p.Untold {
	case Neither:
		return
	case Source:
	case Destination:
		at += size
	}
	clear(h.known[at : at+size])
}

// transport is the header after that, as much of it as rules read.
func (p *Packet) transport() header {
	switch p.Proto {
	case unix.IPPROTO_TCP:
		h := newHeader(20)
		p.ports(h)
		h.set(13, p.TCPFlags)
		return h
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		h := newHeader(8)
		h.set(0, p.ICMPType, 0)
		return h
	default:
		h := newHeader(8)
		p.ports(h)
		return h
	}
}

// ports are set of those that are known: 0 is any.
func (p *Packet) ports(h header) {
	if p.SrcPort != 0 && p.Untold != Source {
		h.set(0, binary.BigEndian.AppendUint16(nil, p.SrcPort)...)
	}
	if p.DstPort != 0 && p.Untold != Destination {
		h.set(2, binary.BigEndian.AppendUint16(nil, p.DstPort)...)
	}
}

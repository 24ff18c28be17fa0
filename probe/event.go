package probe

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// PeerID names a peer within one node, for as long as the node lives. The
// zero PeerID means that the peer is not known. IDs are small integers, so
// that an [Event] can hold one; a node resolves them to keys and names.
type PeerID uint32

// Addr is an IP address as it is kept in an [Event]: 16 bytes, IPv4 in its
// IPv4-mapped form, all zero for none. Unlike [netip.Addr] it holds no
// pointer, so that the garbage collector need not look into the recorder.
type Addr [16]byte

// AddrFrom converts a. The zone of an IPv6 address is not kept.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return a.As16()
}

// Netip converts back; the zero Addr becomes the invalid [netip.Addr].
func (a Addr) Netip() netip.Addr {
	if a == (Addr{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(a).Unmap()
}

// Is4 reports whether a is an IPv4 address.
func (a *Addr) Is4() bool { return [12]byte(a[:12]) == v4Prefix }

// Multicast reports whether a packet to a is for more than one host: a multicast address, or
// that of all on a link.
func (a *Addr) Multicast() bool {
	return a[0] == 0xff || a.Is4() && (a[12]>>4 == 0xe || [4]byte(a[12:]) == [4]byte{255, 255, 255, 255})
}

// LinkLocal reports whether a is an address of one link alone, of a single host.
func (a *Addr) LinkLocal() bool { return a.Netip().IsLinkLocalUnicast() }

var v4Prefix = [12]byte{10: 0xff, 11: 0xff}

// Flags qualify an [Event]. Their bits are written, and never change.
type Flags uint8

const (
	// FlagInitiatedHere: the flow's first inner packet was sent by this side.
	FlagInitiatedHere Flags = 1 << 0
	// FlagEndpointMoved: this packet moved the peer's endpoint. An event of
	// [KindEndpoint] beside it holds the old and the new address, and has the
	// flag too; without it that change was made by this node itself.
	FlagEndpointMoved Flags = 1 << 1
	// FlagFragment: the inner packet is an IP fragment that holds no ports.
	FlagFragment Flags = 1 << 2
	// FlagPeerMismatch: the device chose another peer than the mirror of the
	// AllowedIPs table. It never happens unless that mirror is wrong.
	FlagPeerMismatch Flags = 1 << 3
	// FlagStaticKey: InnerSrc and InnerDst hold the 32 bytes of a public key,
	// see [Event.StaticKey].
	FlagStaticKey Flags = 1 << 4
	// FlagTruncated: the inner packet was too short for its own headers.
	FlagTruncated Flags = 1 << 5
	// FlagQuotes: the inner packet is an ICMP error, and OuterDst, OuterDstPort and Sender
	// hold what it quotes, see [Event.Quoted]. Events of the TUN seams have it.
	FlagQuotes Flags = 1 << 6
	// FlagSegment: the inner packet is of TCP, and OuterDst and OuterDstPort hold what tells
	// which segment it is, see [Event.Segment]. It is the same bit: neither has an OuterDst.
	FlagSegment = FlagQuotes
	// FlagNodeSays: the inner packet is an ICMP error by which a node says that it has
	// dropped the packet itself, see [Event.NodeSays].
	FlagNodeSays Flags = 1 << 7
)

// NoPrefix in Event.PrefixBits says that no AllowedIPs prefix matched, or
// that none was looked up.
const NoPrefix = 0xff

// Event is one packet at one seam. It has a fixed size of 128 bytes, holds no
// pointers and no payload, and is copied by value.
//
// Fields that do not apply are zero. Lengths are in bytes; the outer length is
// that of the UDP payload.
type Event struct {
	Time int64  // nanoseconds since the Unix epoch
	Seq  uint64 // position in its lane, counted from 1; set by the recorder
	// Pair is the Seq of the same packet at its first seam: of the TUN read
	// for a UDP send, of the UDP receive for a TUN write. 0 if there is none.
	Pair    uint64
	Counter uint64 // of a data message; of an ICMP error the code, see [Event.ICMP]

	InnerSrc, InnerDst Addr
	OuterSrc, OuterDst Addr

	// Ports of the inner TCP or UDP header. For ICMP echo InnerSrcPort is the
	// identifier and InnerDstPort the sequence number; for an ICMP error InnerDstPort is
	// that of the packet that it is about, and InnerSrcPort the code.
	InnerSrcPort, InnerDstPort uint16
	OuterSrcPort, OuterDstPort uint16

	// Receiver is the receiver index of a data message, response or cookie, Sender the
	// sender index of an initiation or response. Of an ICMP error they are those of the
	// message that it quotes, if that is one of ours; see [Event.Claimed].
	Receiver, Sender uint32
	Peer             PeerID

	InnerLen, OuterLen uint16

	Seam       Seam
	Checkpoint Checkpoint
	Kind       Kind
	Proto      uint8 // IP protocol number of the inner packet
	Reason     Reason
	PrefixBits uint8 // length of the AllowedIPs prefix that matched, or NoPrefix
	Flags      Flags
	// Info depends on the kind of the event: see [Event.TCPFlags], [Event.ICMP],
	// [Event.Errno] and [Event.Network].
	Info uint8
}

// Dropped reports whether the packet went no further than this event.
func (e *Event) Dropped() bool { return e.Reason != ReasonNone }

// When returns the event's time.
func (e *Event) When() time.Time { return time.Unix(0, e.Time) }

// HasAddrs reports whether InnerSrc and InnerDst hold addresses, if anything.
func (e *Event) HasAddrs() bool { return e.Flags&FlagStaticKey == 0 && e.Kind != KindNetwork }

// Inner returns the inner source and destination. Ports are 0 where the
// protocol has none.
func (e *Event) Inner() (src, dst netip.AddrPort) {
	if !e.HasAddrs() {
		return
	}
	return netip.AddrPortFrom(e.InnerSrc.Netip(), e.InnerSrcPort),
		netip.AddrPortFrom(e.InnerDst.Netip(), e.InnerDstPort)
}

// Outer returns source and destination of the UDP datagram. This host's side
// may be unspecified: the kernel chooses it.
func (e *Event) Outer() (src, dst netip.AddrPort) {
	if e.Flags&FlagQuotes != 0 {
		return netip.AddrPortFrom(e.OuterSrc.Netip(), e.OuterSrcPort), dst
	}
	return netip.AddrPortFrom(e.OuterSrc.Netip(), e.OuterSrcPort),
		netip.AddrPortFrom(e.OuterDst.Netip(), e.OuterDstPort)
}

// Prefix returns the AllowedIPs prefix that matched: of the destination on the
// way into the tunnel, of the source on the way out of it. It is invalid where
// none matched.
func (e *Event) Prefix() netip.Prefix {
	if e.PrefixBits == NoPrefix || !e.HasAddrs() {
		return netip.Prefix{}
	}
	a := e.InnerDst
	if e.Seam == SeamTUNWrite || e.Seam == SeamUDPReceive {
		a = e.InnerSrc
	}
	p, err := a.Netip().Prefix(int(e.PrefixBits))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// StaticKey returns the public key that a handshake initiation was sent with,
// where the event records it, and reports whether it does.
func (e *Event) StaticKey() (k key.Public, ok bool) {
	if e.Flags&FlagStaticKey == 0 {
		return k, false
	}
	copy(k[:16], e.InnerSrc[:])
	copy(k[16:], e.InnerDst[:])
	return k, true
}

// SetStaticKey records k in the place of the inner addresses.
func (e *Event) SetStaticKey(k key.Public) {
	copy(e.InnerSrc[:], k[:16])
	copy(e.InnerDst[:], k[16:])
	e.Flags |= FlagStaticKey
}

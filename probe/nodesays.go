package probe

import "encoding/binary"

// A node that drops a packet which enters its tunnel says so by ICMP, host unreachable, as
// the kernel's WireGuard does. Others say the same of a neighbor that does not answer. So
// the node adds its reason, in an extension (RFC 4884) that other hosts skip: one object of
// a class for private use, whose content is the magic and the reason.
const (
	extensionVersion = 2 << 4
	extensionClass   = 0xf7
	extensionType    = 1
	extensionLen     = 4 + 4 + 4 // header, header of the object, content

	// quoteLeast is what must be quoted, padded with zeros, before an extension.
	quoteLeast = 128
)

var extensionMagic = [3]byte{'w', 'g', 'n'}

// AppendNodeSays appends to an ICMP or ICMPv6 error, destination unreachable, what it
// quotes and why the node has dropped that. The message must be 8 bytes with all but type
// and code zero; its checksum remains to be set. At most limit bytes of packet are quoted.
func AppendNodeSays(message, packet []byte, v6 bool, why Reason, limit int) []byte {
	unit, at := 4, 5 // the length of the quote: in which units, and where
	if v6 {
		unit, at = 8, 4
	}
	quote := packet[:min(len(packet), limit/unit*unit)]
	padded := max((len(quote)+unit-1)/unit*unit, quoteLeast)
	message[at] = uint8(padded / unit)
	message = append(message, quote...)
	message = append(message, make([]byte, padded-len(quote))...)
	x := [extensionLen]byte{0: extensionVersion, 5: 8, 6: extensionClass, 7: extensionType, 11: uint8(why)}
	copy(x[8:], extensionMagic[:])
	binary.BigEndian.PutUint16(x[2:], Checksum(x[:]))
	return append(message, x[:]...)
}

// nodeSays reads from an ICMP error, from its header on, why a node has dropped what it
// quotes; ReasonNone if it does not say so.
func nodeSays(message []byte, v6 bool) Reason {
	unit, at, unreachable := 4, 5, uint8(icmp4Unreachable)
	if v6 {
		unit, at, unreachable = 8, 4, icmp6Unreachable
	}
	if len(message) < 8 || message[0] != unreachable {
		return ReasonNone
	}
	quoted := int(message[at]) * unit
	if quoted < quoteLeast || len(message) < 8+quoted+extensionLen {
		return ReasonNone
	}
	x := message[8+quoted:][:extensionLen]
	if x[0]>>4 != extensionVersion>>4 || x[6] != extensionClass || x[7] != extensionType || [3]byte(x[8:11]) != extensionMagic ||
		Checksum(x) != 0 {
		return ReasonNone
	}
	return Reason(x[11])
}

// NodeSays returns, of the inner packet, an ICMP error, why a wgnode has dropped the packet
// that it is about: where it enters the tunnel this node, where it comes out the peer's, or
// one behind it. ok is false if it does not say so.
func (e *Event) NodeSays() (why Reason, ok bool) {
	if e.Flags&FlagNodeSays == 0 || e.Kind != KindInner || !e.ICMPError() {
		return ReasonNone, false
	}
	return Reason(e.Sender >> 8), true
}

// SetNodeSays records what [Event.NodeSays] returns, behind [Event.Quote].
func (e *Event) SetNodeSays(why Reason) {
	e.Flags |= FlagNodeSays
	e.Sender = e.Sender&0xff | uint32(why)<<8
}

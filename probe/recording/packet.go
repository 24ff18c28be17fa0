package recording

import "github.com/wgnode/wgnode/probe"

// Interface is where a packet of a recording was seen.
type Interface uint8

// The interfaces. Note is for events that are no packet: what the device, the
// kernel or the node says.
const (
	Wire   Interface = iota // encrypted, between this host and the peer's
	Inside                  // the packet in the tunnel
	Note
)

var interfaceNames = [...]string{"wire", "inside", "note"}

func (i Interface) String() string { return interfaceNames[i] }

// interfaceOf says on which interface an event is recorded.
func interfaceOf(e *probe.Event) Interface {
	switch e.Seam {
	case probe.SeamUDPSend, probe.SeamUDPReceive:
		return Wire
	case probe.SeamTUNRead, probe.SeamTUNWrite:
		return Inside
	}
	return Note
}

// Packet is one event of a recording, with the bytes that were kept.
type Packet struct {
	Event probe.Event
	// Drop is not nil if the kernel of the host has dropped the packet. Then Event is none of the
	// tunnel's: it is at no seam, and has what the headers say.
	Drop      *Drop
	Interface Interface
	// Data begins with the IP header. On the wire IP and UDP header are made from
	// the event, since a UDP socket does not show them; see Made for the rest. A
	// note has none. It is valid until the next call of Next.
	Data []byte
	// Length is that of the whole IP packet in bytes.
	Length int
	// Made: all of Data was made from the event, and nothing captured.
	Made bool
	// Lost is how many events are known to be missing between the previous packet
	// and this one. Where exactly is not known: some may be older.
	Lost uint64

	kept bool // the block that was read last is a packet
}

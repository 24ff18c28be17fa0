package netstack

import (
	"fmt"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// nic is the number of the only network card of a stack.
const nic = 1

// side is a stack with its card, and the way of packets into it. Segments of TCP
// that follow one another in a batch are delivered as one.
type side struct {
	stack *stack.Stack
	link  *link

	mu        sync.Mutex
	gro       gro.GRO // guarded by mu
	delivered int     // guarded by mu: packets, since the last look
}

// newSide makes a stack with a card of its own. With local it keeps packets for
// its own addresses to itself; without it nothing that comes in counts as its own.
func newSide(l *link, local bool) (*side, error) {
	s := &side{link: l, stack: stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal:        local,
	})}
	s.gro.Init(true)
	s.gro.Dispatcher = s
	sack := tcpip.TCPSACKEnabled(true)
	if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return nil, fmt.Errorf("turn selective acknowledgements on: %s", err)
	}
	if err := s.stack.CreateNIC(nic, l); err != nil {
		return nil, fmt.Errorf("make network card: %s", err)
	}
	s.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	return s, nil
}

// inject hands packets to the stack. It copies them. Each must be IPv4 or IPv6.
func (s *side) inject(pkts [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range pkts {
		protocol := header.IPv4ProtocolNumber
		if b[0]>>4 == 6 {
			protocol = header.IPv6ProtocolNumber
			translate(b)
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(buffer.NewViewWithData(b))})
		pkt.NetworkProtocolNumber = protocol
		if len(pkts) == 1 {
			s.DeliverNetworkPacket(protocol, pkt) // there is nothing to join it with
		} else {
			s.gro.Enqueue(pkt)
		}
		pkt.DecRef()
	}
	// A Flush takes only one packet from each of its buckets, which have several
	// where there are several connections.
	for s.delivered = 1; s.delivered > 0; {
		s.delivered = 0
		s.gro.Flush()
	}
}

// DeliverNetworkPacket implements [stack.NetworkDispatcher], for what gro has
// joined and for what it has not. It has looked at the checksums of the segments
// that it takes, and says so; the checksum of what it has joined is none.
// Everything else is for the stack to look at.
func (s *side) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	s.delivered++
	if s.link.verified.Load() != pkt.RXChecksumValidated {
		s.link.verified.Store(pkt.RXChecksumValidated)
	}
	s.link.deliver(protocol, pkt)
}

// DeliverLinkPacket implements [stack.NetworkDispatcher]. There are none.
func (*side) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// close ends all connections, and returns when the stack is no more.
func (s *side) close() {
	s.stack.RemoveNIC(nic)
	s.stack.Destroy()
}

// translate makes of an ICMPv6 error "destination unreachable" one that the stack
// passes on to whom it concerns. Of the reasons that mean that trying is of no use
// (RFC 4443 3.1) it knows only "no route".
func translate(b []byte) {
	const protoICMPv6, unreachable = 58, 1
	if len(b) < ipv6Header+8 || b[6] != protoICMPv6 || b[ipv6Header] != unreachable {
		return
	}
	switch icmp := b[ipv6Header:]; icmp[1] {
	case 1, 3, 5, 6: // prohibited; address; source; reject
		// RFC 1624, equation 3
		sum := ^(uint16(icmp[2])<<8 | uint16(icmp[3]))
		sum = checksum.Combine(sum, ^(unreachable<<8 | uint16(icmp[1])))
		sum = checksum.Combine(sum, unreachable<<8)
		icmp[1] = 0
		checksum.Put(icmp[2:], ^sum)
	}
}

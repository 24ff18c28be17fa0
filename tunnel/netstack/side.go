package netstack

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// nic is the number of the only network card of a stack.
const nic = 1

// timeWait is how long a connection is remembered that this side has ended first. The
// stack has no bound for their number, as Linux has (net.ipv4.tcp_max_tw_buckets), so
// that who begins and ends connections without pause fills memory for that long.
const timeWait = 10 * time.Second

// side is a stack with its card, and the way of packets into it. Segments of TCP
// that follow one another in a batch are delivered as one.
type side struct {
	stack *stack.Stack
	link  *link

	mu   sync.Mutex
	join joiner // guarded by mu
}

// newSide makes a stack with a card of its own. With local it keeps packets for
// its own addresses to itself; without it nothing that comes in counts as its own.
func newSide(l *link, local bool) (*side, error) {
	s := &side{link: l, stack: stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal:        local,
	})}
	s.join.deliver = s.deliver
	sack := tcpip.TCPSACKEnabled(true)
	if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return nil, fmt.Errorf("turn selective acknowledgements on: %s", err)
	}
	lasts := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &lasts); err != nil {
		return nil, fmt.Errorf("bound how long connections are remembered: %s", err)
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
		if b[0]>>4 == 6 {
			translate(b)
		}
		s.join.add(b)
	}
	s.join.flush()
}

// deliver hands one packet to the stack, which looks at the checksums itself if
// they are not verified. The lock is held.
func (s *side) deliver(b *buffer.View, six, verified bool) {
	protocol := header.IPv4ProtocolNumber
	if six {
		protocol = header.IPv6ProtocolNumber
	}
	if s.link.verified.Load() != verified {
		s.link.verified.Store(verified)
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(b)})
	s.link.deliver(protocol, pkt)
	pkt.DecRef()
}

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

// maxSegment is how large a TCP segment may be that a stack hands to its link,
// headers included, in bytes. It is what an IPv4 packet holds.
const maxSegment = 1 << 16

// link is the network card of a stack: what the stack sends waits in out until
// the device is read. It takes segments of TCP that are larger than the MTU and
// whose checksum is not there yet; [segments] makes packets of them.
type link struct {
	mtu  atomic.Uint32
	out  chan<- *stack.PacketBuffer // of the device; several links may share it
	done <-chan struct{}            // closed when nobody reads out any more

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	// verified says whether the checksums of the packet that is being delivered
	// have been looked at. A stack asks for it by the card's capabilities, once a
	// packet, so it is changed under the lock of the [side] that delivers.
	verified atomic.Bool
}

func newLink(mtu int, out chan<- *stack.PacketBuffer, done <-chan struct{}) *link {
	l := &link{out: out, done: done}
	l.mtu.Store(uint32(mtu))
	return l
}

// WritePackets implements [stack.LinkWriter]. It waits while the queue is full,
// as a socket of the host does: nothing is lost for want of a reader.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for i, pkt := range pkts.AsSlice() {
		select {
		case <-l.done:
			return i, &tcpip.ErrClosedForSend{}
		default:
		}
		// The stack does not touch it again, but gives up its reference.
		pkt.IncRef()
		select {
		case l.out <- pkt:
		case <-l.done:
			pkt.DecRef()
			return i, &tcpip.ErrClosedForSend{}
		}
	}
	return pkts.Len(), nil
}

// Capabilities implements [stack.NetworkLinkEndpoint].
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	if l.verified.Load() {
		return stack.CapabilityRXChecksumOffload
	}
	return stack.CapabilityNone
}

// SupportedGSO implements [stack.GSOEndpoint]: the card cuts segments to size.
func (*link) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// GSOMaxSize implements [stack.GSOEndpoint].
func (*link) GSOMaxSize() uint32 { return maxSegment }

// deliver hands a packet to the stack.
func (l *link) deliver(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if d := l.dispatcher.Load(); d != nil {
		(*d).DeliverNetworkPacket(protocol, pkt)
	}
}

// Attach implements [stack.NetworkLinkEndpoint].
func (l *link) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&d)
}

// The rest of [stack.LinkEndpoint], for a card of which there is not much to say.

func (l *link) IsAttached() bool                      { return l.dispatcher.Load() != nil }
func (l *link) MTU() uint32                           { return l.mtu.Load() }
func (l *link) SetMTU(mtu uint32)                     { l.mtu.Store(mtu) }
func (*link) MaxHeaderLength() uint16                 { return 0 }
func (*link) LinkAddress() tcpip.LinkAddress          { return "" }
func (*link) SetLinkAddress(tcpip.LinkAddress)        {}
func (*link) Wait()                                   {}
func (*link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*link) AddHeader(*stack.PacketBuffer)           {}
func (*link) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (*link) Close()                                  {}
func (*link) SetOnCloseAction(func())                 {}

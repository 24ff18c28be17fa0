package netstack

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

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

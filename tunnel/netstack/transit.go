package netstack

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/wgnode/wgnode/probe"
)

// Flow is what belongs together of what a peer sends to an address beyond the
// stack's own. Of ICMP echo From's port is the identifier, and To has none.
type Flow struct {
	Proto    uint8 // of IP: TCP, UDP, ICMP, ICMPv6
	From, To netip.AddrPort
}

// Transit is who takes what peers send to addresses beyond the stack's own. None of
// its functions may wait, but for TCP and UDP, which have a goroutine each time.
type Transit struct {
	// May reports whether a flow may pass. It is asked once for each, and for each
	// echo request. What may not is answered with ICMP "administratively
	// prohibited".
	May func(Flow) bool
	// TCP and UDP get the flows that may pass. They must have begun to end what
	// they do when the Transit ends. A flow of UDP counts until UDP returns.
	TCP, UDP func(*Arrival)
	// Echo gets echo requests, whose answers it gives to reply, if there are any.
	Echo func(e Echo)
}

const (
	// maxArriving is how many connections wait at a time until it is known whether they
	// can be had. Further ones try again.
	maxArriving = 1024
	// maxDatagramFlows is how many flows of UDP are there at a time, those among them
	// that are about to end. The first packets of further ones are dropped.
	maxDatagramFlows = 2048
)

// Connections for others have smaller buffers than the node's own, in bytes: there
// may be many, and whose they are is not for this host to choose.
const (
	transitBuffer    = 256 << 10 // at first
	transitBufferMax = 1 << 20
)

// transit is a stack that has every address. It is apart from the node's own, so
// that what is for others does not reach what listens there.
type transit struct {
	*side
	refusals *refusals
	to       Transit
	udp      chan struct{} // a slot for each flow of UDP

	mu       sync.Mutex
	arriving map[stack.TransportEndpointID]struct{} // guarded by mu: from SYN to answer
}

func newTransit(l *link, to Transit, r *refusals) (*transit, error) {
	s, err := newSide(l, false)
	if err != nil {
		return nil, err
	}
	t := &transit{side: s, refusals: r, to: to,
		udp: make(chan struct{}, maxDatagramFlows), arriving: make(map[stack.TransportEndpointID]struct{})}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: transitBuffer, Max: transitBufferMax}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: transitBuffer, Max: transitBufferMax}
	for what, err := range map[string]tcpip.Error{
		"bound receive buffers":          s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &receive),
		"bound send buffers":             s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &send),
		"take packets for every address": s.stack.SetPromiscuousMode(nic, true),
		"send packets of every address":  s.stack.SetSpoofing(nic, true),
	} {
		if err != nil {
			s.close()
			return nil, fmt.Errorf("%s: %s", what, err)
		}
	}
	s.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, t.handleTCP)
	s.stack.SetTransportProtocolHandler(udp.ProtocolNumber, t.handleUDP)
	for _, protocol := range []tcpip.TransportProtocolNumber{icmp.ProtocolNumber4, icmp.ProtocolNumber6} {
		s.stack.SetTransportProtocolHandler(protocol, t.handleICMP)
	}
	return t, nil
}

// flowOf reads a stack's name for a flow.
func flowOf(proto uint8, id stack.TransportEndpointID) Flow {
	return Flow{proto, addrPort(id.RemoteAddress, id.RemotePort), addrPort(id.LocalAddress, id.LocalPort)}
}

func addrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice()) // 4 or 16 bytes
	return netip.AddrPortFrom(addr, port)
}

// headersOf copies the headers of a packet, for an ICMP error to quote.
func headersOf(pkt *stack.PacketBuffer) []byte {
	return slices.Concat(pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice())
}

// handleTCP gets what is of no connection.
func (t *transit) handleTCP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	h := header.TCP(pkt.TransportHeader().Slice())
	if len(h) < header.TCPMinimumSize || h.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) != header.TCPFlagSyn {
		return false
	}
	quote := headersOf(pkt)
	if !t.to.May(flowOf(probe.ProtoTCP, id)) {
		t.refusals.say(t.stack, quote, syscall.EACCES)
		return true
	}
	if !t.arrive(id) {
		return true
	}
	// A forwarder for each request has what belongs to it, and forgets it with it.
	one := tcp.NewForwarder(t.stack, transitBuffer, 1, func(r *tcp.ForwarderRequest) {
		t.to.TCP(&Arrival{Flow: flowOf(probe.ProtoTCP, id), Len: len(quote), Head: len(quote), t: t, quote: quote, tcp: r})
	})
	if !one.HandlePacket(id, pkt) {
		t.arrived(id) // it is malformed
		return false
	}
	return true
}

// arrive notes a request, and reports whether there is room for it. It is in hand
// already if its SYN has come again.
func (t *transit) arrive(id stack.TransportEndpointID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.arriving[id]; again || len(t.arriving) >= maxArriving {
		return false
	}
	t.arriving[id] = struct{}{}
	return true
}

// arrived forgets a request, once it is answered.
func (t *transit) arrived(id stack.TransportEndpointID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.arriving, id)
}

// handleUDP gets the first packet of each flow.
func (t *transit) handleUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	flow := flowOf(probe.ProtoUDP, id)
	quote := headersOf(pkt)
	if !t.to.May(flow) {
		t.refusals.say(t.stack, quote, syscall.EACCES)
		return true
	}
	select {
	case t.udp <- struct{}{}:
	default:
		return true
	}
	wq := new(waiter.Queue)
	r := udp.NewForwarderRequest(t.stack, id, pkt)
	ep, err := r.CreateEndpoint(wq)
	if err != nil {
		<-t.udp
		return true // there is no room for it just now
	}
	sock := newSocket(ep, wq, "udp")
	sock.remote = full(flow.From)
	a := &Arrival{Flow: flow, Len: len(quote) + pkt.Data().Size(), Head: len(quote), t: t, quote: quote, udp: &packetConn{sock}}
	go func() {
		defer func() { <-t.udp }()
		t.to.UDP(a)
	}()
	return true
}

// handleICMP gets echo requests, and has the stack not answer them itself.
func (t *transit) handleICMP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	message := slices.Concat(pkt.TransportHeader().Slice(), pkt.Data().AsRange().ToSlice())
	e, ok := echoOf(id, message)
	if !ok {
		return true // nothing else that is for others needs an answer
	}
	e.Len = len(pkt.NetworkHeader().Slice()) + len(message)
	e.quote = append(slices.Clone(pkt.NetworkHeader().Slice()), message[:echoHeader]...)
	if e.t = t; !t.to.May(e.Flow) {
		t.refusals.say(t.stack, e.quote, syscall.EACCES)
		return true
	}
	t.to.Echo(e)
	return true
}

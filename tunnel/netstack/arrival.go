package netstack

import (
	"encoding/binary"
	"fmt"
	"net"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/wgnode/wgnode/probe"
)

// Arrival is the beginning of a flow of TCP or UDP. Of Accept, Refuse and Ignore
// one is to be called, once. Afterwards only Unreachable may be.
type Arrival struct {
	Flow
	// Len is the length in bytes of its first packet, Head that of the headers.
	Len, Head int

	t     *transit
	quote []byte
	tcp   *tcp.ForwarderRequest // nil: it is UDP
	udp   *packetConn
}

// Accept completes the handshake of TCP, and returns the peer's end of the flow: a
// [Conn], or for UDP a connection whose first packet is yet to be read.
func (a *Arrival) Accept() (net.Conn, error) {
	if a.tcp == nil {
		return a.udp, nil
	}
	wq := new(waiter.Queue)
	ep, err := a.tcp.CreateEndpoint(wq)
	a.complete(err != nil)
	if err != nil {
		return nil, fmt.Errorf("accept connection of %s: %w", a.From, told(err))
	}
	return newConn(newSocket(ep, wq, "tcp"), full(a.From)), nil
}

// complete ends a request of TCP.
func (a *Arrival) complete(reset bool) {
	id := a.tcp.ID()
	a.tcp.Complete(reset)
	a.t.arrived(id)
}

// Refuse tells the peer what the network said to the attempt to pass the flow on: a
// reset or "port unreachable" for syscall.ECONNREFUSED, an ICMP error for
// EHOSTUNREACH, ENETUNREACH and EACCES, and nothing for what has no such word.
func (a *Arrival) Refuse(why syscall.Errno) {
	if a.tcp != nil && why == syscall.ECONNREFUSED {
		a.complete(true)
		return
	}
	a.Unreachable(why)
	a.Ignore()
}

// Ignore leaves the peer without an answer, as a network does that loses packets.
func (a *Arrival) Ignore() {
	if a.tcp != nil {
		a.complete(false)
		return
	}
	_ = a.udp.Close() // there is nobody to tell
}

// Unreachable sends the peer the ICMP error for what the network says of a packet of
// the flow; see Refuse.
func (a *Arrival) Unreachable(why syscall.Errno) { a.t.refusals.say(a.t.stack, a.quote, why) }

// Echo is an ICMP echo request.
type Echo struct {
	Flow
	Seq  uint16
	Data []byte // nobody else uses it
	// Len is the length in bytes of the packet.
	Len int

	t     *transit
	quote []byte
}

// echoHeader is how long the header of an echo is, in bytes (RFC 792, RFC 4443 4.1).
const echoHeader = 8

// Types of ICMP messages.
const (
	echoReply4, echoRequest4 = 0, 8
	echoRequest6, echoReply6 = 128, 129
)

// echoOf reads a message of ICMP, and reports whether it is an echo request.
func echoOf(id stack.TransportEndpointID, message []byte) (Echo, bool) {
	if len(message) < echoHeader || message[1] != 0 {
		return Echo{}, false
	}
	proto, request := uint8(probe.ProtoICMP), byte(echoRequest4)
	if id.LocalAddress.Len() == header.IPv6AddressSize {
		proto, request = probe.ProtoICMPv6, echoRequest6
	}
	if message[0] != request {
		return Echo{}, false
	}
	ident := binary.BigEndian.Uint16(message[4:])
	return Echo{
		Flow: Flow{proto, addrPort(id.RemoteAddress, ident), addrPort(id.LocalAddress, 0)},
		Seq:  binary.BigEndian.Uint16(message[6:]), Data: message[echoHeader:],
	}, true
}

// Reply sends the peer the answer to the request with a sequence number.
func (e *Echo) Reply(seq uint16, data []byte) {
	kind := byte(echoReply4)
	if e.Proto == probe.ProtoICMPv6 {
		kind = echoReply6
	}
	b := make([]byte, echoHeader, echoHeader+len(data))
	b[0] = kind
	binary.BigEndian.PutUint16(b[4:], e.From.Port())
	binary.BigEndian.PutUint16(b[6:], seq)
	sendICMP(e.t.stack, e.To.Addr(), e.From.Addr(), append(b, data...))
}

// Unreachable sends the peer the ICMP error for what the network says of a request:
// see [Arrival.Refuse].
func (e *Echo) Unreachable(why syscall.Errno) { e.t.refusals.say(e.t.stack, e.quote, why) }

package netstack

import (
	"bytes"
	"fmt"
	"net/netip"

	xicmp "golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

// EchoSocket sends ICMP echo requests to one address, and hears their answers. It is safe for
// concurrent use.
type EchoSocket struct {
	s  *socket
	to netip.Addr
}

// Echoes opens a socket for ICMP echo to an address. Nobody may fragment its packets if whole is
// true.
func (n *Net) Echoes(to netip.Addr, whole bool) (*EchoSocket, error) {
	protocol := icmp.ProtocolNumber4
	if to.Is6() {
		protocol = icmp.ProtocolNumber6
	}
	c, terr := open(n.stack, protocol, "udp", to.Is6())
	if terr != nil {
		return nil, fmt.Errorf("open socket for ICMP echo to %s: %w", to, told(terr))
	}
	if terr = c.ep.Connect(full(netip.AddrPortFrom(to, 0))); terr == nil && whole {
		terr = c.ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(tcpip.PMTUDiscoveryProbe))
	}
	if terr != nil {
		_ = c.Close() // never fails
		return nil, fmt.Errorf("open socket for ICMP echo to %s: %w", to, told(terr))
	}
	return &EchoSocket{c, to}, nil
}

// ID is the identifier of its echoes, which the stack has chosen.
func (e *EchoSocket) ID() uint16 { return e.s.localPort() }

// Send sends an echo request.
func (e *EchoSocket) Send(seq uint16, data []byte) error {
	var request xicmp.Type = ipv4.ICMPTypeEcho
	if e.to.Is6() {
		request = ipv6.ICMPTypeEchoRequest
	}
	b, err := (&xicmp.Message{Type: request, Body: &xicmp.Echo{Seq: int(seq), Data: data}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("make ICMP echo: %w", err)
	}
	if _, terr := e.s.ep.Write(bytes.NewReader(b), tcpip.WriteOptions{}); terr != nil {
		return fmt.Errorf("send ICMP echo to %s: %w", e.to, told(terr))
	}
	return nil
}

// Receive waits for an answer, until the socket is closed. What is in it is put into buf.
func (e *EchoSocket) Receive(buf []byte) (seq uint16, data []byte, err error) {
	number := icmpNumber4
	var reply xicmp.Type = ipv4.ICMPTypeEchoReply
	if e.to.Is6() {
		number, reply = icmpNumber6, ipv6.ICMPTypeEchoReply
	}
	for {
		w := tcpip.SliceWriter(buf)
		var got tcpip.ReadResult
		if err := e.s.await(&e.s.in, func() (err tcpip.Error) {
			got, err = e.s.ep.Read(&w, tcpip.ReadOptions{})
			return err
		}); err != nil {
			return 0, nil, fmt.Errorf("await ICMP echo reply: %w", err)
		}
		m, err := xicmp.ParseMessage(number, buf[:got.Count])
		if err != nil || m.Type != reply {
			continue
		}
		if echo, ok := m.Body.(*xicmp.Echo); ok {
			return uint16(echo.Seq), echo.Data, nil
		}
	}
}

// The protocol numbers of ICMP.
const icmpNumber4, icmpNumber6 = 1, 58

// Close ends it, and wakes who waits for an answer.
func (e *EchoSocket) Close() error { return e.s.Close() }

package netstack

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// packetConn is a UDP socket of a stack: a [net.PacketConn], and a [net.Conn] if
// it was dialed.
type packetConn struct{ *socket }

func dialUDP(s *stack.Stack, to netip.AddrPort) (*packetConn, error) {
	where := net.UDPAddrFromAddrPort(to)
	sock, terr := open(s, udp.ProtocolNumber, "udp", to.Addr().Is6())
	if terr != nil {
		return nil, &net.OpError{Op: "dial", Net: "udp", Addr: where, Err: told(terr)}
	}
	if terr := sock.ep.Connect(full(to)); terr != nil {
		_ = sock.Close() // nothing was sent
		return nil, &net.OpError{Op: "dial", Net: "udp", Addr: where, Err: told(terr)}
	}
	sock.remote = full(to)
	return &packetConn{sock}, nil
}

func listenUDP(s *stack.Stack, network string, at netip.AddrPort) (*packetConn, error) {
	sock, terr := open(s, udp.ProtocolNumber, "udp", sixFor(network, at))
	if terr != nil {
		return nil, told(terr)
	}
	if network == "udp6" {
		sock.ep.SocketOptions().SetV6Only(true)
	}
	if terr := sock.ep.Bind(full(at)); terr != nil {
		_ = sock.Close() // nothing was sent
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(at), Err: told(terr)}
	}
	return &packetConn{sock}, nil
}

// Read implements [net.Conn]. What does not fit into b is lost.
func (c *packetConn) Read(b []byte) (int, error) {
	n, _, err := c.read(b, false)
	return n, err
}

// ReadFrom implements [net.PacketConn]. What does not fit into b is lost.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.read(b, true)
	if err != nil {
		return n, nil, err
	}
	return n, c.addr(from), nil
}

func (c *packetConn) read(b []byte, from bool) (int, tcpip.FullAddress, error) {
	w := tcpip.SliceWriter(b)
	var got tcpip.ReadResult
	err := c.await(&c.in, func() (err tcpip.Error) {
		got, err = c.ep.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: from})
		if _, short := err.(*tcpip.ErrBadBuffer); short {
			err = nil // an empty b: nothing fits
		}
		return err
	})
	if errors.Is(err, io.EOF) {
		err = net.ErrClosed // a datagram socket has no other end
	}
	return got.Count, got.RemoteAddr, c.failed("read", nil, err)
}

// Write implements [net.Conn].
func (c *packetConn) Write(b []byte) (int, error) { return c.write(b, nil, nil) }

// WriteTo implements [net.PacketConn].
func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.failed("write", to, &net.AddrError{Err: "not an address of UDP", Addr: to.String()})
	}
	where := full(u.AddrPort())
	return c.write(b, &where, to)
}

func (c *packetConn) write(b []byte, to *tcpip.FullAddress, where net.Addr) (int, error) {
	var r bytes.Reader
	var n int64
	err := c.await(&c.out, func() (err tcpip.Error) {
		r.Reset(b)
		n, err = c.ep.Write(&r, tcpip.WriteOptions{To: to})
		return err
	})
	return int(n), c.failed("write", where, err)
}

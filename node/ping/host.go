package ping

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wgnode/wgnode/node/internal/socket"
	"github.com/wgnode/wgnode/probe"
)

// Host sends through this host's own network stack. Echoes needs the right to open raw sockets,
// or the kernel's leave to ping without (ping_group_range); what others say of a probe it hears
// with a raw socket only.
type Host struct{}

// Echoes implements [Prober].
func (Host) Echoes(to netip.Addr, whole bool) (Echoes, error) {
	network, plain, any := "ip4:icmp", "udp4", "0.0.0.0"
	if to.Is6() {
		network, plain, any = "ip6:ipv6-icmp", "udp6", "::"
	}
	e := &hostEchoes{to: to, id: uint16(1 + rand.N(0xffff)), buf: make([]byte, 1<<16)}
	var err error
	if e.conn, err = icmp.ListenPacket(network, any); errors.Is(err, os.ErrPermission) {
		var perr error
		if e.conn, perr = icmp.ListenPacket(plain, any); perr == nil {
			err, e.plain = nil, true
			e.id = portOf(e.conn.LocalAddr())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	if whole {
		if err := socket.DontFragment(socket.Raw(e.conn), to.Is6()); err != nil {
			return nil, errors.Join(fmt.Errorf("open socket for ICMP echo: %w", err), e.conn.Close())
		}
	}
	return e, nil
}

// hostEchoes is a socket of the kernel's.
type hostEchoes struct {
	to    netip.Addr
	conn  *icmp.PacketConn
	id    uint16
	plain bool // the kernel hands over our own answers only
	buf   []byte
}

func (e *hostEchoes) ID() uint16   { return e.id }
func (e *hostEchoes) Close() error { return e.conn.Close() }

func (e *hostEchoes) Send(seq uint16, data []byte) error {
	var request icmp.Type = ipv4.ICMPTypeEcho
	if e.to.Is6() {
		request = ipv6.ICMPTypeEchoRequest
	}
	b, err := (&icmp.Message{Type: request, Body: &icmp.Echo{ID: int(e.id), Seq: int(seq), Data: data}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("make ICMP echo: %w", err)
	}
	var to net.Addr = &net.IPAddr{IP: e.to.AsSlice(), Zone: e.to.Zone()}
	if e.plain {
		to = &net.UDPAddr{IP: e.to.AsSlice(), Zone: e.to.Zone()}
	}
	if _, err := e.conn.WriteTo(b, to); err != nil {
		return fmt.Errorf("send ICMP echo to %s: %w", e.to, err)
	}
	return nil
}

func (e *hostEchoes) Receive() (Answer, error) {
	proto := probe.ProtoICMP
	var reply icmp.Type = ipv4.ICMPTypeEchoReply
	if e.to.Is6() {
		proto, reply = probe.ProtoICMPv6, ipv6.ICMPTypeEchoReply
	}
	for {
		n, addr, err := e.conn.ReadFrom(e.buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return Answer{}, err
			}
			continue // what the kernel says of a request: its answer fails to come
		}
		m, err := icmp.ParseMessage(proto, e.buf[:n])
		if err != nil {
			continue
		}
		from := addrOf(addr)
		if echo, ok := m.Body.(*icmp.Echo); ok {
			if m.Type == reply && from == e.to.WithZone("") && (e.plain || echo.ID == int(e.id)) {
				return Answer{Seq: uint16(echo.Seq), Data: echo.Data, From: from}, nil
			}
			continue
		}
		if a, ok := complaint(m, e.buf[:n], e.to, e.id); ok {
			a.From = from
			return a, nil
		}
	}
}

func addrOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.IPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// Datagrams implements [Prober].
func (Host) Datagrams(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "udp", to.String())
}

// Connect implements [Prober].
func (Host) Connect(ctx context.Context, to netip.AddrPort, ready func(port uint16)) (repeated bool, err error) {
	d := net.Dialer{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		port, err := socket.ChoosePort(c, to.Addr().Is4())
		if err != nil {
			return err
		}
		ready(port)
		return nil
	}}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", to, err)
	}
	repeated = sentAgain(c.(*net.TCPConn))
	if err := c.Close(); err != nil {
		return repeated, fmt.Errorf("close connection to %s: %w", to, err)
	}
	return repeated, nil
}

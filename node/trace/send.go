package trace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
)

// Lengths of inner packets in bytes. An echo request has one that is rare, so
// that its encrypted packet is recognized by its length alone.
const (
	echoData = 284
	echoLen4 = 20 + 8 + echoData
	echoLen6 = 40 + 8 + echoData
	synLen4  = 20 + 40
	synLen6  = 40 + 40
	rstLen4  = 20 + 20
	rstLen6  = 40 + 20
)

// sender sends the packet that is followed. It calls ready once it knows by what
// the packet is recognized: the TCP source port, or the identifier of the echo; 0
// if it does not know. The packet leaves when ready has returned.
type sender func(ctx context.Context, to netip.AddrPort, ready func(id uint16)) error

// senderOf returns what sends for a node.
func senderOf(s *explain.Subject, to netip.AddrPort) sender {
	switch {
	case !s.Kernel && to.Port() == 0:
		return func(ctx context.Context, to netip.AddrPort, ready func(uint16)) error {
			ready(0)
			return s.Prober.Ping(ctx, to.Addr())
		}
	case !s.Kernel:
		return func(ctx context.Context, to netip.AddrPort, ready func(uint16)) error {
			ready(0)
			return s.Prober.Connect(ctx, to)
		}
	case to.Port() == 0:
		return ping
	}
	return connect
}

// connect opens a TCP connection and closes it again.
func connect(ctx context.Context, to netip.AddrPort, ready func(id uint16)) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var port uint16
		var failed error
		err := c.Control(func(fd uintptr) { port, failed = bindAny(int(fd), to.Addr().Is4()) })
		if err := errors.Join(err, failed); err != nil {
			return fmt.Errorf("choose a port: %w", err)
		}
		ready(port)
		return nil
	}}
	network := "tcp6"
	if to.Addr().Is4() {
		network = "tcp4"
	}
	c, err := d.DialContext(ctx, network, to.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close connection to %s: %w", to, err)
	}
	return nil
}

// bindAny gives a socket a port, and leaves its address open.
func bindAny(fd int, is4 bool) (port uint16, err error) {
	var any unix.Sockaddr = &unix.SockaddrInet6{}
	if is4 {
		any = &unix.SockaddrInet4{}
	}
	if err := unix.Bind(fd, any); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		port = uint16(a.Port)
	case *unix.SockaddrInet6:
		port = uint16(a.Port)
	}
	return port, nil
}

// ping sends ICMP echo requests, one a second, until one is answered.
func ping(ctx context.Context, to netip.AddrPort, ready func(id uint16)) error {
	network, listen, proto := "ip4:icmp", "0.0.0.0", probe.ProtoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Addr().Is6() {
		network, listen, proto = "ip6:ipv6-icmp", "::", probe.ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	c, err := icmp.ListenPacket(network, listen)
	if err != nil {
		return fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) }) // wakes the reader
	defer stop()
	id := uint16(1 + rand.N(0xffff))
	ready(id)
	buf := make([]byte, 1500)
	for seq := 1; ctx.Err() == nil; seq++ {
		msg := icmp.Message{Type: request, Body: &icmp.Echo{ID: int(id), Seq: seq, Data: make([]byte, echoData)}}
		b, err := msg.Marshal(nil)
		if err != nil {
			return fmt.Errorf("make ICMP echo: %w", err)
		}
		if _, err := c.WriteTo(b, &net.IPAddr{IP: to.Addr().AsSlice(), Zone: to.Addr().Zone()}); err != nil {
			return fmt.Errorf("send ICMP echo to %s: %w", to.Addr(), err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("await ICMP echo reply: %w", err)
		}
		for ctx.Err() == nil {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				break // the deadline: send the next
			}
			m, err := icmp.ParseMessage(proto, buf[:n])
			if err != nil || m.Type != reply {
				continue
			}
			if e, ok := m.Body.(*icmp.Echo); ok && e.ID == int(id) {
				return nil
			}
		}
	}
	return ctx.Err()
}

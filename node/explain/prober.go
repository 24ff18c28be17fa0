package explain

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wgnode/wgnode/node/internal/socket"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Host probes through this host's own network stack. Ping needs the right to
// open raw sockets.
type Host struct {
	// EchoData is the content of an echo request, whose length tells its encrypted packet
	// from others.
	EchoData []byte
}

// Connect implements [Prober].
func (Host) Connect(ctx context.Context, to netip.AddrPort, ready Ready) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		port, err := socket.ChoosePort(c, to.Addr().Is4())
		if err != nil {
			return err
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

// Ping implements [Prober].
func (h Host) Ping(ctx context.Context, to netip.Addr, ready Ready) error {
	network, listen := "ip4:icmp", "0.0.0.0"
	if to.Is6() {
		network, listen = "ip6:ipv6-icmp", "::"
	}
	c, err := icmp.ListenPacket(network, listen)
	if err != nil {
		return fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	defer c.Close()
	return Echo(ctx, c, to, h.data(), ready)
}

// data is the content of an echo request.
func (h Host) data() []byte {
	if h.EchoData == nil {
		return []byte("wgnode explain")
	}
	return h.EchoData
}

// Echo sends ICMP echo requests with some content, one a second, over c, a raw socket for
// the protocol of to's family, until one is answered or ctx ends.
func Echo(ctx context.Context, c net.PacketConn, to netip.Addr, data []byte, ready Ready) error {
	proto := probe.ProtoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		proto = probe.ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) }) // wakes the reader
	defer stop()
	id := echoID()
	ready(id)
	buf := make([]byte, 1500)
	for seq := 1; ctx.Err() == nil; seq++ {
		msg := icmp.Message{Type: request, Body: &icmp.Echo{ID: int(id), Seq: seq, Data: data}}
		b, err := msg.Marshal(nil)
		if err != nil {
			return fmt.Errorf("make ICMP echo: %w", err)
		}
		if _, err := c.WriteTo(b, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}); err != nil {
			return fmt.Errorf("send ICMP echo to %s: %w", to, err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("await ICMP echo reply: %w", err)
		}
		for ctx.Err() == nil {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				break // the deadline: send the next
			}
			m, err := icmp.ParseMessage(proto, buf[:n])
			if err != nil || m.Type != reply {
				continue
			}
			if e, ok := m.Body.(*icmp.Echo); ok && e.ID == int(id) && e.Seq >= 1 && e.Seq <= seq && bytes.Equal(e.Data, data) && sameHost(from, to) {
				return nil
			}
		}
	}
	return ctx.Err()
}

// echoID is the identifier of a series of echo requests: one that no other has, as a rule,
// and that those of before did not have either.
func echoID() uint16 { return uint16(1 + rand.N(0xffff)) }

func sameHost(a net.Addr, b netip.Addr) bool {
	ip, ok := a.(*net.IPAddr)
	if !ok {
		return false
	}
	addr, ok := netip.AddrFromSlice(ip.IP)
	return ok && addr.Unmap() == b.Unmap().WithZone("")
}

// Stack probes through a userspace network stack.
type Stack struct{ Net *netstack.Net }

// Connect implements [Prober].
func (s Stack) Connect(ctx context.Context, to netip.AddrPort, ready Ready) error {
	c, err := s.Net.Connect(ctx, to, ready)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close connection to %s: %w", to, err)
	}
	return nil
}

// Ping implements [Prober].
func (s Stack) Ping(ctx context.Context, to netip.Addr, ready Ready) error {
	return s.Net.Ping(ctx, to, ready)
}

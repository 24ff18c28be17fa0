package explain

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Host probes through this host's own network stack. Ping needs the right to
// open raw sockets.
type Host struct{}

// Connect implements [Prober].
func (Host) Connect(ctx context.Context, to netip.AddrPort) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close connection to %s: %w", to, err)
	}
	return nil
}

var pings atomic.Uint32

// Ping implements [Prober].
func (Host) Ping(ctx context.Context, to netip.Addr) error {
	network, listen := "ip4:icmp", "0.0.0.0"
	if to.Is6() {
		network, listen = "ip6:ipv6-icmp", "::"
	}
	c, err := icmp.ListenPacket(network, listen)
	if err != nil {
		return fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	defer c.Close()
	return Echo(ctx, c, to)
}

// Echo sends an ICMP echo request a second over c, a raw socket for the protocol
// of to's family, until one is answered or ctx ends.
func Echo(ctx context.Context, c net.PacketConn, to netip.Addr) error {
	proto := probe.ProtoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		proto = probe.ProtoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	id := (os.Getpid() + int(pings.Add(1))) & 0xffff
	buf := make([]byte, 1500)
	for seq := 1; ; seq++ {
		msg := icmp.Message{Type: request, Body: &icmp.Echo{ID: id, Seq: seq, Data: []byte("wgnode explain")}}
		b, err := msg.Marshal(nil)
		if err != nil {
			return fmt.Errorf("make ICMP echo: %w", err)
		}
		if _, err := c.WriteTo(b, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}); err != nil {
			return fmt.Errorf("send ICMP echo to %s: %w", to, err)
		}
		deadline := time.Now().Add(time.Second)
		if err := c.SetReadDeadline(deadline); err != nil {
			return fmt.Errorf("await ICMP echo reply: %w", err)
		}
		for {
			n, from, err := c.ReadFrom(buf)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				break // the deadline: send the next
			}
			m, err := icmp.ParseMessage(proto, buf[:n])
			if err != nil || m.Type != reply {
				continue
			}
			if e, ok := m.Body.(*icmp.Echo); ok && e.ID == id && sameHost(from, to) {
				return nil
			}
		}
	}
}

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
func (s Stack) Connect(ctx context.Context, to netip.AddrPort) error {
	c, err := s.Net.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close connection to %s: %w", to, err)
	}
	return nil
}

// Ping implements [Prober].
func (s Stack) Ping(ctx context.Context, to netip.Addr) error { return s.Net.Ping(ctx, to) }

package netstack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Ping sends ICMP echo requests to an address, one a second, until one is
// answered or ctx ends.
func (n *Net) Ping(ctx context.Context, to netip.Addr) error {
	c, err := n.stack.DialPingAddr(netip.Addr{}, to)
	if err != nil {
		return fmt.Errorf("open socket for ICMP echo to %s: %w", to, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) }) // never fails
	defer stop()
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	proto := 1
	if to.Is6() {
		request, reply, proto = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
	}
	buf := make([]byte, 1500)
	for seq := 1; ; seq++ {
		// The stack fills in the identifier, and hands us only our replies.
		b, err := (&icmp.Message{Type: request, Body: &icmp.Echo{Seq: seq, Data: []byte("wgnode")}}).Marshal(nil)
		if err != nil {
			return fmt.Errorf("make ICMP echo: %w", err)
		}
		if _, err := c.Write(b); err != nil {
			return fmt.Errorf("send ICMP echo to %s: %w", to, err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("await ICMP echo reply: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err() // the deadline set last is not that of its end
		}
		for {
			k, err := c.Read(buf)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return fmt.Errorf("await ICMP echo reply: %w", err)
			}
			if m, err := icmp.ParseMessage(proto, buf[:k]); err == nil && m.Type == reply {
				return nil
			}
		}
	}
}

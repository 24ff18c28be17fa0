package netstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	xicmp "golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

// Ping sends ICMP echo requests to an address, one a second, until one is
// answered or ctx ends. It calls begun with their identifier before the first.
func (n *Net) Ping(ctx context.Context, to netip.Addr, begun func(id uint16)) error {
	protocol, number := icmp.ProtocolNumber4, 1
	var request, reply xicmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		protocol, number = icmp.ProtocolNumber6, 58
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	c, terr := open(n.stack, protocol, "udp", to.Is6())
	if terr != nil {
		return fmt.Errorf("open socket for ICMP echo to %s: %w", to, told(terr))
	}
	defer c.Close() // never fails
	if terr := c.ep.Connect(full(netip.AddrPortFrom(to, 0))); terr != nil {
		return fmt.Errorf("open socket for ICMP echo to %s: %w", to, told(terr))
	}
	begun(c.localPort())
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // never fails
	defer stop()
	buf := make([]byte, 1500)
	for seq := 1; ; seq++ {
		// The stack fills in the identifier, and hands us only our replies.
		b, err := (&xicmp.Message{Type: request, Body: &xicmp.Echo{Seq: seq, Data: []byte("wgnode")}}).Marshal(nil)
		if err != nil {
			return fmt.Errorf("make ICMP echo: %w", err)
		}
		if _, terr := c.ep.Write(bytes.NewReader(b), tcpip.WriteOptions{}); terr != nil && ctx.Err() == nil {
			return fmt.Errorf("send ICMP echo to %s: %w", to, told(terr))
		}
		c.in.set(time.Now().Add(time.Second))
		for {
			w := tcpip.SliceWriter(buf)
			var got tcpip.ReadResult
			err := c.await(&c.in, func() (err tcpip.Error) {
				got, err = c.ep.Read(&w, tcpip.ReadOptions{})
				return err
			})
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, errTimeout) {
				break
			}
			if err != nil {
				return fmt.Errorf("await ICMP echo reply: %w", err)
			}
			if m, err := xicmp.ParseMessage(number, buf[:got.Count]); err == nil && m.Type == reply {
				return nil
			}
		}
	}
}

package netstack_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Whatever packet a peer sends to hosts beyond, or to the node, as ICMP among others,
// nothing breaks, and what is asked about is what the packet says.
func FuzzTransit(f *testing.F) {
	to := netip.MustParseAddrPort("192.0.2.9:80")
	echo := func(kind byte) []byte {
		pkt := make([]byte, header.IPv4MinimumSize+16)
		copy(pkt, syn(1, to)[:header.IPv4MinimumSize])
		pkt[3], pkt[9], pkt[20] = byte(len(pkt)), 1, kind
		return pkt
	}
	f.Add([]byte(syn(1, to)))
	f.Add(udp(1, to))
	f.Add(echo(8))
	f.Add(echo(3))
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 8, 58, 64, 0xfd, 14: 0, 23: 1, 24: 0x20, 25: 1, 26: 0xd, 27: 0xb8, 39: 9}, 128, 0, 0, 0, 0, 1, 0, 1))
	f.Add([]byte{0x45})
	dev, n, err := netstack.New([]netip.Addr{b4, b6}, wireMTU)
	if err != nil {
		f.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		bufs, sizes := make([][]byte, dev.BatchSize()), make([]int, dev.BatchSize())
		for i := range bufs {
			bufs[i] = make([]byte, 65535)
		}
		for {
			if _, err := dev.Read(bufs, sizes, 0); err != nil {
				return
			}
		}
	})
	f.Cleanup(func() {
		_ = dev.Close()
		wg.Wait()
	})
	own := map[netip.Addr]bool{b4: true, b6: true}
	if err := n.Forward(&netstack.Transit{
		May: func(flow netstack.Flow) bool {
			if own[flow.To.Addr()] {
				f.Errorf("asked about the node itself: %v", flow)
			}
			return flow.To.Port()%2 == 0
		},
		TCP:  func(a *netstack.Arrival) { a.Refuse(syscall.EHOSTUNREACH) },
		UDP:  func(a *netstack.Arrival) { a.Refuse(syscall.ECONNREFUSED) },
		Echo: func(e netstack.Echo) { e.Reply(e.Seq, e.Data) },
	}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if len(pkt) == 0 || len(pkt) > wireMTU {
			return // the device hands over none of those
		}
		for _, sum := range []bool{false, true} {
			one := append(make([]byte, headroom), pkt...)
			if ip := header.IPv4(one[headroom:]); sum && len(pkt) >= header.IPv4MinimumSize && pkt[0] == 0x45 {
				ip.SetChecksum(0)
				ip.SetChecksum(^ip.CalculateChecksum())
			}
			_, _ = dev.Write([][]byte{one}, headroom) // it may refuse what is no packet
		}
	})
}

// Whatever a name server answers, there are addresses, or an error, and soon.
func FuzzResolverAnswer(f *testing.F) {
	name := dnsmessage.MustNewName("a.example.")
	pack := func(m dnsmessage.Message) []byte {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	q := []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	a := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1},
		Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}
	loop := dnsmessage.Resource{Header: a.Header, Body: &dnsmessage.CNAMEResource{CNAME: name}}
	f.Add(pack(dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: q, Answers: []dnsmessage.Resource{a}}), false)
	f.Add(pack(dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: q, Answers: []dnsmessage.Resource{loop}}), false)
	f.Add(pack(dnsmessage.Message{Header: dnsmessage.Header{Response: true, Truncated: true}, Questions: q}), true)
	f.Add(pack(dnsmessage.Message{Header: dnsmessage.Header{Response: true, RCode: dnsmessage.RCodeNameError}, Questions: q}), false)
	f.Add([]byte{0, 0, 0x80}, true)
	f.Fuzz(func(t *testing.T, answer []byte, fix bool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var servers sync.WaitGroup
		defer servers.Wait()
		r := &netstack.Resolver{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
			Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
				near, far := net.Pipe()
				servers.Go(func() { serveOnce(far, network, answer, fix) })
				return near, nil
			}}
		addrs, err := r.LookupNetIP(ctx, "ip4", "a.example")
		if ctx.Err() != nil {
			t.Fatalf("%x: no end", answer)
		}
		if (err == nil) != (len(addrs) > 0) {
			t.Errorf("%x: %v, %v", answer, addrs, err)
		}
		for _, a := range addrs {
			if !a.Is4() {
				t.Errorf("%x: %v is not of IPv4", answer, addrs)
			}
		}
	})
}

// serveOnce answers one question, with its number if fix.
func serveOnce(c net.Conn, network string, answer []byte, fix bool) {
	defer c.Close()
	query := make([]byte, 512)
	n, err := c.Read(query)
	if err != nil {
		return
	}
	head := 0
	if network == "tcp" {
		head = 2
		if n == 2 { // the length alone, as a pipe hands it over
			if m, err := c.Read(query[2:]); err != nil {
				return
			} else if n += m; n < 4 {
				return
			}
		}
	}
	answer = append([]byte(nil), answer...)
	if fix && len(answer) >= 2 && n >= head+2 {
		copy(answer, query[head:head+2])
	}
	if network == "tcp" {
		answer = append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)
	}
	_, _ = c.Write(answer) // and no other comes
}

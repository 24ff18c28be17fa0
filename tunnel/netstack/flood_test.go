package netstack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// flooded is a stack whose peer sends what it likes.
type flooded struct {
	t    *testing.T
	send func(pkt []byte)
	out  chan []byte // what the stack sends
}

func flood(t *testing.T, to *netstack.Transit) *flooded {
	t.Helper()
	dev, n, err := netstack.New([]netip.Addr{b4, b6}, wireMTU)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Forward(to); err != nil {
		t.Fatal(err)
	}
	f := &flooded{t: t, out: make(chan []byte, 1<<14)}
	f.send = func(pkt []byte) {
		if _, err := dev.Write([][]byte{append(make([]byte, headroom), pkt...)}, headroom); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		k := dev.BatchSize()
		bufs, sizes := make([][]byte, k), make([]int, k)
		for i := range bufs {
			bufs[i] = make([]byte, 65535)
		}
		for {
			k, err := dev.Read(bufs, sizes, 0)
			if err != nil {
				return
			}
			for i := range k {
				f.out <- append([]byte(nil), bufs[i][:sizes[i]]...)
			}
		}
	})
	t.Cleanup(func() {
		_ = dev.Close()
		wg.Wait()
	})
	return f
}

// syn is the beginning of a connection from a's port.
func syn(port uint16, to netip.AddrPort) header.TCP {
	pkt := make([]byte, header.IPv4MinimumSize+header.TCPMinimumSize)
	src, dst := tcpip.AddrFrom4(a4.As4()), tcpip.AddrFrom4(to.Addr().As4())
	ip := header.IPv4(pkt)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(pkt)), TTL: 64, Protocol: 6, SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	h := header.TCP(pkt[header.IPv4MinimumSize:])
	h.Encode(&header.TCPFields{SrcPort: port, DstPort: to.Port(), SeqNum: uint32(port), DataOffset: header.TCPMinimumSize,
		Flags: header.TCPFlagSyn, WindowSize: 65535})
	h.SetChecksum(^h.CalculateChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, header.TCPMinimumSize)))
	return pkt
}

func udp(port uint16, to netip.AddrPort) []byte {
	pkt := make([]byte, header.IPv4MinimumSize+header.UDPMinimumSize)
	ip := header.IPv4(pkt)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(pkt)), TTL: 64, Protocol: 17, SrcAddr: tcpip.AddrFrom4(a4.As4()),
		DstAddr: tcpip.AddrFrom4(to.Addr().As4())})
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(pkt[header.IPv4MinimumSize:]).Encode(&header.UDPFields{SrcPort: port, DstPort: to.Port(), Length: header.UDPMinimumSize})
	return pkt
}

// expectUnreachable begins connections to a host until an ICMP error about one comes.
// Of those there are so many a second only, which the flood may have used up.
func (f *flooded) expectUnreachable(to netip.AddrPort) {
	f.t.Helper()
	limit := patience.Deadline()
	for port := uint16(50000); time.Now().Before(limit); port++ {
		f.send(syn(port, to))
		if f.said(port) {
			return
		}
	}
	f.t.Fatal("nothing is said of a connection that cannot be had")
}

// Whatever a peer floods routing for peers with, what the network says of a connection
// still reaches it, and its peers.
func TestTransitFlood(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.9:80")
	for _, test := range []struct {
		name  string
		flood func(f *flooded)
	}{
		{"bad checksums", func(f *flooded) {
			for i := range 3000 {
				pkt := syn(uint16(10000+i), to)
				checksum.Put(pkt[header.IPv4MinimumSize+16:], 0x1234)
				f.send(pkt)
			}
		}},
		{"the same again and again", func(f *flooded) {
			for range 3000 {
				f.send(syn(10000, to))
			}
		}},
		{"refused", func(f *flooded) {
			for i := range 3000 {
				f.send(syn(uint16(10000+i), netip.AddrPortFrom(to.Addr(), 81)))
			}
		}},
		{"flags at random", func(f *flooded) {
			for i := range 3000 {
				pkt := syn(uint16(10000+i), to)
				pkt[header.IPv4MinimumSize+13] = byte(i)
				f.send(pkt)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := flood(t, &netstack.Transit{
				May: func(netstack.Flow) bool { return true },
				TCP: func(a *netstack.Arrival) {
					if a.To.Port() == 81 {
						a.Refuse(syscall.ECONNREFUSED)
						return
					}
					a.Refuse(syscall.EHOSTUNREACH)
				},
				UDP:  func(a *netstack.Arrival) { a.Ignore() },
				Echo: func(netstack.Echo) {},
			})
			test.flood(f)
			f.expectUnreachable(to)
		})
	}
}

// said reports whether the ICMP error about the connection from port comes soon.
func (f *flooded) said(port uint16) bool {
	soon := time.After(100 * time.Millisecond)
	for {
		select {
		case pkt := <-f.out:
			const quoted = 20 + 8 + 20
			if pkt[0] == 0x45 && pkt[9] == 1 && pkt[20] == 3 && len(pkt) >= quoted+20 && binary.BigEndian.Uint16(pkt[quoted:]) == port {
				return true
			}
		case <-soon:
			return false
		}
	}
}

// Connections that are open, and those that wait, take room of their own only: the
// former none of the latter's, and both not without end.
func TestTransitRoom(t *testing.T) {
	var mu sync.Mutex
	var waiting, flows, mostWaiting, mostFlows int
	count := func(now, most *int, by int) {
		mu.Lock()
		defer mu.Unlock()
		*now += by
		*most = max(*most, *now)
	}
	release := make(chan struct{})
	f := flood(t, &netstack.Transit{
		May: func(netstack.Flow) bool { return true },
		TCP: func(a *netstack.Arrival) {
			count(&waiting, &mostWaiting, 1)
			<-release
			count(&waiting, &mostWaiting, -1)
			a.Refuse(syscall.EHOSTUNREACH)
		},
		UDP: func(a *netstack.Arrival) {
			count(&flows, &mostFlows, 1)
			<-release
			count(&flows, &mostFlows, -1)
			a.Ignore()
		},
		Echo: func(netstack.Echo) {},
	})
	to := netip.MustParseAddrPort("192.0.2.9:80")
	for i := range 5000 {
		f.send(syn(uint16(10000+i), to))
		f.send(udp(uint16(10000+i), to))
	}
	close(release)
	f.expectUnreachable(to)
	mu.Lock()
	defer mu.Unlock()
	if mostWaiting > 1024 || mostFlows > 2048 || mostWaiting == 0 || mostFlows == 0 {
		t.Errorf("%d connections waited, and there were %d flows of UDP", mostWaiting, mostFlows)
	}
}

// More connections can be open than wait, and one more is told that it cannot be had.
func TestTransitManyOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand connections, in short mode")
	}
	a, b := wire(t, nil)
	if err := b.Forward(&netstack.Transit{
		May: func(netstack.Flow) bool { return true },
		TCP: func(a *netstack.Arrival) {
			if a.To.Port() == 2 {
				a.Refuse(syscall.EHOSTUNREACH)
				return
			}
			c, err := a.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Read(make([]byte, 1)) // until it ends
		},
		UDP:  func(a *netstack.Arrival) { a.Ignore() },
		Echo: func(netstack.Echo) {},
	}); err != nil {
		t.Fatal(err)
	}
	ctx := patience.Context(t)
	for i := range 1100 {
		c, err := a.DialContext(ctx, "tcp", fmt.Sprintf("192.0.2.%d:80", 1+i%200))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
	}
	if _, err := a.DialContext(ctx, "tcp", "192.0.2.9:2"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("with 1100 open connections: %v", err)
	}
}

package observe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// datagram is an IP packet with one to a port.
func datagram(six bool, options int, port uint16, msg []byte) []byte {
	udp := make([]byte, 8, 8+len(msg))
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(msg)))
	udp = append(udp, msg...)
	if six {
		ip := make([]byte, 40)
		ip[0], ip[6] = 0x60, probe.ProtoUDP
		return append(ip, udp...)
	}
	ip := make([]byte, 20+options)
	ip[0], ip[9] = 0x40|byte(len(ip)/4), probe.ProtoUDP
	return append(ip, udp...)
}

// Whole initiations to the port are copied, and nothing else is.
func TestInitiationsFilter(t *testing.T) {
	call := append([]byte{probe.TypeInitiation}, make([]byte, probe.LenInitiation-1)...)
	edited := func(b []byte, at int, value byte) []byte {
		b[at] = value
		return b
	}
	for _, c := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"IPv4", datagram(false, 0, 51820, call), true}, {"with options", datagram(false, 8, 51820, call), true},
		{"IPv6", datagram(true, 0, 51820, call), true}, {"to another port", datagram(false, 0, 51821, call), false},
		{"to another port, IPv6", datagram(true, 0, 51821, call), false},
		{"of another length", datagram(false, 0, 51820, call[:147]), false},
		{"of another type", datagram(true, 0, 51820, append([]byte{probe.TypeData}, call[1:]...)), false},
		{"TCP", edited(datagram(false, 0, 51820, call), 9, probe.ProtoTCP), false},
		{"TCP, IPv6", edited(datagram(true, 0, 51820, call), 6, probe.ProtoTCP), false},
		{"the first fragment", edited(datagram(false, 0, 51820, call), 6, 0x20), false},
		{"another fragment", edited(datagram(false, 0, 51820, call), 7, 1), false},
		{"no IP", edited(datagram(false, 0, 51820, call), 0, 0x50), false}, {"nothing", nil, false},
	} {
		vm, err := bpf.NewVM(initiationsTo(51820))
		if err != nil {
			t.Fatal(err)
		}
		n, err := vm.Run(c.packet)
		if err != nil || (n > 0) != c.want {
			t.Errorf("%s: %d bytes are copied, %v", c.name, n, err)
		}
		if msg := initiationOf(c.packet); c.want && string(msg) != string(call) {
			t.Errorf("%s: read as %x", c.name, msg)
		}
	}
}

// Initiations are heard though a rule drops them, also at ingress.
func TestInitiationsHeard(t *testing.T) {
	ownNamespace(t)
	for _, address := range []string{"127.0.0.1", "::1"} {
		src := newInitiations()
		sel := Selection{}
		sel.Add(evidence.FromWire, netfilter.Match{Proto: probe.ProtoUDP, DstPort: 51820})
		ctx, cancel := context.WithTimeout(t.Context(), patience.Times(10*time.Second))
		defer cancel()
		if err := src.Start(ctx, sel); err != nil {
			t.Skip(err)
		}
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 51820))
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: to.IP}) // not connected: nobody listens, and no error comes back
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 3 {
			msg := append([]byte{probe.TypeInitiation, 0, 0, 0, byte(i)}, make([]byte, probe.LenInitiation-5)...)
			for _, m := range [][]byte{msg, msg[:100]} {
				if _, err := c.WriteToUDP(m, to); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case o := <-src.Observations():
				if string(o.Initiation) != string(msg) {
					t.Errorf("%s: heard %x", address, o.Initiation)
				}
			case <-ctx.Done():
				t.Fatal(fmt.Errorf("wait for what was sent to %s: %w", address, ctx.Err()))
			}
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

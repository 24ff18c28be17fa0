package tunnel

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// silent is an address that takes datagrams and never answers.
func silent(t testing.TB) netip.AddrPort {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// relay passes datagrams between whoever sends to it and a server, keeps a
// copy of them, and can send more: what an attacker on the path can do.
type relay struct {
	addr     netip.AddrPort
	out      *net.UDPConn // towards the server
	messages chan []byte
	seen     [][]byte
}

func newRelay(t testing.TB, server netip.AddrPort) *relay {
	t.Helper()
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	r := &relay{addr: in.LocalAddr().(*net.UDPAddr).AddrPort(), out: out, messages: make(chan []byte, 1024)}
	client := make(chan netip.AddrPort, 1)
	go func() {
		buf := make([]byte, 1<<16)
		for first := true; ; first = false {
			n, from, err := in.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if first {
				client <- from
			}
			r.messages <- bytes.Clone(buf[:n])
			out.Write(buf[:n])
		}
	}()
	go func() {
		buf := make([]byte, 1<<16)
		var to netip.AddrPort
		for {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			if !to.IsValid() {
				to = <-client
			}
			in.WriteToUDPAddrPort(buf[:n], to)
		}
	}()
	return r
}

// outside is the address that the server sees.
func (r *relay) outside() netip.AddrPort { return r.out.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *relay) inject(t testing.TB, msg []byte) {
	t.Helper()
	if _, err := r.out.Write(msg); err != nil {
		t.Fatal(err)
	}
}

func (r *relay) await(t testing.TB, ok func([]byte) bool) []byte {
	t.Helper()
	for _, m := range r.seen {
		if ok(m) {
			return m
		}
	}
	for {
		select {
		case m := <-r.messages:
			r.seen = append(r.seen, m)
			if ok(m) {
				return m
			}
		case <-patience.After():
			t.Fatal("the relay saw no such message")
		}
	}
}

func (r *relay) awaitData(t testing.TB) []byte {
	return r.await(t, func(m []byte) bool { return m[0] == 4 && len(m) > 32 })
}

func (r *relay) awaitInitiation(t testing.TB) []byte {
	return r.await(t, func(m []byte) bool { return m[0] == 1 })
}

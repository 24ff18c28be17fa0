package tunneltest

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// Silent is an address that takes datagrams and never answers.
func Silent(t testing.TB) netip.AddrPort {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Relay passes datagrams between whoever sends to it and a server, keeps a
// copy of them, and can send more: what an attacker on the path can do.
type Relay struct {
	Addr     netip.AddrPort // where it is to be sent to
	out      *net.UDPConn   // towards the server
	messages chan []byte
	seen     [][]byte
}

// NewRelay returns a relay before server.
func NewRelay(t testing.TB, server netip.AddrPort) *Relay {
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
	r := &Relay{Addr: in.LocalAddr().(*net.UDPAddr).AddrPort(), out: out, messages: make(chan []byte, 1024)}
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

// Outside is the address that the server sees.
func (r *Relay) Outside() netip.AddrPort { return r.out.LocalAddr().(*net.UDPAddr).AddrPort() }

// Inject sends msg to the server, as if it had come from the client.
func (r *Relay) Inject(t testing.TB, msg []byte) {
	t.Helper()
	if _, err := r.out.Write(msg); err != nil {
		t.Fatal(err)
	}
}

func (r *Relay) await(t testing.TB, ok func([]byte) bool) []byte {
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

// AwaitData returns a data message with content that passes, or has passed.
func (r *Relay) AwaitData(t testing.TB) []byte {
	return r.await(t, func(m []byte) bool { return m[0] == 4 && len(m) > 32 })
}

// AwaitInitiation does so for an initiation.
func (r *Relay) AwaitInitiation(t testing.TB) []byte {
	return r.await(t, func(m []byte) bool { return m[0] == 1 })
}

package explain

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// syn is the beginning of a connection, over IPv4.
func syn(from, to netip.AddrPort) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, probe.ProtoTCP
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	b[20], b[21], b[22], b[23] = byte(from.Port()>>8), byte(from.Port()), byte(to.Port()>>8), byte(to.Port())
	b[32], b[33] = 5<<4, 2
	return b
}

// A packet of another peer's that was half through when the watch began is not taken
// for one of this host's own.
func TestHalfSeen(t *testing.T) {
	hub := newStackNode(t, "10.0.0.2")
	peer := func(name, addr string) tunnel.PeerConfig {
		return tunnel.PeerConfig{Name: name, PublicKey: key.GeneratePrivate().Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix(addr)}}
	}
	err := hub.tun.Configure(tunnel.Config{
		PrivateKey: hub.key, Peers: []tunnel.PeerConfig{peer("alice", "10.0.0.1/32"), peer("bob", "10.0.0.3/32")}})
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort("10.0.0.3:80")
	entered := probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner}
	sent := probe.Event{Seam: probe.SeamUDPSend, Checkpoint: probe.A4, Kind: probe.KindData}
	left := probe.Event{Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Kind: probe.KindInner}
	dropped := probe.Event{Seam: probe.SeamDevice, Checkpoint: probe.A1, Kind: probe.KindInner, Reason: probe.NoEndpoint}
	alice, own := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:40000")
	for _, c := range []struct {
		from, to netip.AddrPort
		event    probe.Event
		want     bool
	}{
		{from: alice, to: target, event: entered, want: false},
		{from: own, to: target, event: entered, want: true},
		// The receipt of this one is older than the watch.
		{from: alice, to: target, event: sent, want: false},
		{from: own, to: target, event: sent, want: true},
		{from: target, to: alice, event: left, want: false},
		{from: target, to: own, event: left, want: true},
		{from: alice, to: target, event: dropped, want: false},
		{from: own, to: target, event: dropped, want: true},
	} {
		name := fmt.Sprintf("%v at %v from %v to %v", c.event.Reason, c.event.Checkpoint, c.from, c.to)
		x, err := begin(t.Context(), hub.Subject, Request{Passive: true, Target: target})
		if err != nil {
			t.Fatal(err)
		}
		c.event.Peer = x.behind
		c.event.DecodeInner(syn(c.from, c.to))
		x.addEvent(&c.event)
		if x.flow.Seen[c.event.Checkpoint] == nil && x.flow.Dropped == nil {
			t.Fatalf("%s: not of the flow", name)
		}
		if got := x.noticed(); got != c.want {
			t.Errorf("%s: noticed is %v", name, got)
		}
		x.session.Close()
	}
}

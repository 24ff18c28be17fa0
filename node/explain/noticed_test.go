package explain

import (
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
	err := hub.Tunnel.Configure(tunnel.Config{
		PrivateKey: hub.key, Peers: []tunnel.PeerConfig{peer("alice", "10.0.0.1/32"), peer("bob", "10.0.0.3/32")}})
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort("10.0.0.3:80")
	for from, want := range map[string]bool{"10.0.0.1:40000": false, "10.0.0.2:40000": true} {
		x, err := begin(t.Context(), hub.Subject, Request{Passive: true, Target: target})
		if err != nil {
			t.Fatal(err)
		}
		e := probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner, Peer: x.behind}
		e.DecodeInner(syn(netip.MustParseAddrPort(from), target))
		x.addEvent(&e)
		if x.flow.Seen[probe.A1] == nil {
			t.Fatalf("from %s: not of the flow", from)
		}
		if got := x.noticed(); got != want {
			t.Errorf("from %s: noticed is %v", from, got)
		}
		x.session.Close()
	}
}

package rules

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// No fix leads an address into the tunnel that never belongs there, whether or not a peer
// has it.
func TestUnfitAddresses(t *testing.T) {
	for _, c := range []struct {
		addr, says string
		broadcast  bool
	}{
		{addr: "127.0.0.7", says: "loopback"}, {addr: "::1", says: "loopback"},
		{addr: "169.254.1.1", says: "link-local"}, {addr: "fe80::1", says: "link-local"},
		{addr: "224.0.0.251", says: "multicast"}, {addr: "ff02::2", says: "multicast"},
		{addr: "255.255.255.255", says: "broadcast"}, {addr: "10.0.0.255", broadcast: true, says: "broadcast"},
		{addr: "0.0.0.0", says: "unspecified"}, {addr: "::", says: "unspecified"},
		{addr: "203.0.113.9", says: "the endpoint of bob"},
		{addr: "10.7.7.7"},
	} {
		for _, matched := range []bool{false, true} {
			s := tell(probe.SideA)
			dst := netip.MustParseAddr(c.addr)
			s.Flow.Target = netip.AddrPortFrom(dst, 80)
			s.Peer.Endpoint = netip.MustParseAddrPort("203.0.113.9:51820")
			s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Broadcast: c.broadcast}
			if s.Nearest = s.Peer; !matched {
				s.Outside, s.Peer = s.Peer, nil
			}
			v, _ := s.judge()
			text := strings.Join(v.Fix.Lines(), "\n")
			leads := strings.Contains(text, "dev wg0") || strings.Contains(text, "wg set") || strings.Contains(text, "AllowedIPs =")
			if leads != (c.says == "") || !strings.Contains(v.Summary, c.says) {
				t.Errorf("%s, in AllowedIPs %t: %s\n%s", c.addr, matched, v.Summary, text)
			}
		}
	}
}

// Multicast of this host that no peer has is dropped as that; and the fix for a source that
// is not in AllowedIPs never adds one that may not be there.
func TestUnfitSources(t *testing.T) {
	for src, adds := range map[string]bool{"192.168.99.22": true, "fe80::7": false, "203.0.113.9": false} {
		s := tell(probe.SideB).called().refusedSource(src, 5000)
		s.Peer.Endpoint = netip.MustParseAddrPort("203.0.113.9:51820")
		v, _ := s.judge()
		if text := strings.Join(v.Fix.Lines(), "\n"); v.Code != diagnose.DisallowedSource || strings.Contains(text, "wg set") != adds {
			t.Errorf("%s: %s\n%s", src, v.Code, text)
		}
	}
}

// A source that is another peer's names that one. A packet to another target is no part of
// the flow, whoever may not send it.
func TestSourceOfAnotherPeer(t *testing.T) {
	s := tell(probe.SideB).called().refusedSource("192.168.99.22", 5000)
	s.Owner = &diagnose.Peer{Name: "carol", AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.99.0/24")}}
	v, _ := s.judge()
	if v.Code != diagnose.DisallowedSource || !v.Certain || !strings.Contains(v.Summary, "belongs to carol") ||
		!strings.Contains(strings.Join(v.Fix.Lines(), "\n"), "carol loses it") {
		t.Errorf("%s: %s\n%q", v.Code, v.Summary, v.Fix.Lines())
	}
	s.Flow.Target = netip.AddrPortFrom(target.Addr(), target.Port()+1)
	if v, _ := s.judge(); v.Code == diagnose.DisallowedSource {
		t.Errorf("of another flow: %s", v.Summary)
	}
}

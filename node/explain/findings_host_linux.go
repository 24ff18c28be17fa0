package explain

import (
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// internet are addresses that only a default route leads to. Nothing is sent
// there.
var internet = [...]netip.Addr{netip.MustParseAddr("1.0.0.1"), netip.MustParseAddr("2000::1")}

// secretive are the kinds of links that are themselves encrypted tunnels.
var secretive = []string{"wireguard", "tun", "xfrm", "vti", "vti6"}

// host reads the kernel's tables.
func (g *gathering) host() {
	snap, err := routing.Take(routing.Options{Only: internet[:]})
	if err != nil {
		g.failed("the host's networks", err)
		return
	}
	for _, l := range snap.Links() {
		if l.Name == g.Interface {
			g.facts.MTU = l.MTU
		}
		for _, a := range l.Addrs {
			switch net := a.Peer.Masked(); {
			case a.Prefix.Addr().IsLinkLocalUnicast() || a.Prefix.Addr().IsLoopback():
			case l.Name == g.Interface:
				g.facts.Addresses = append(g.facts.Addresses, a.Prefix)
			case l.Up && net.IsValid() && !inVRF(snap, l):
				g.facts.Networks = append(g.facts.Networks, finding.Network{Link: l.Name, Net: net, Proxied: proxied(l.Name)})
			}
		}
	}
	for i, r := range routesOf([]routing.Flow{routing.Flow{Dst: internet[0]}.Own(), routing.Flow{Dst: internet[1]}.Own()}, g.Interface) {
		dst := internet[i]
		if l := snap.Link(r.link); r.Kind == evidence.RouteFound && l != nil {
			g.facts.Default = append(g.facts.Default, finding.Way{IPv6: dst.Is6(), Link: l.Name,
				Tunnel: slices.Contains(secretive, l.Kind), Text: r.Text})
		}
	}
	for _, ipv6 := range []bool{false, true} {
		fw := snap.Forwarding(ipv6, g.Interface)
		g.facts.Forwarding = append(g.facts.Forwarding, finding.Forwarding{IPv6: ipv6, On: fw.On, Evidence: fw.Evidence, Sysctl: fw.Sysctl})
		if !fw.On {
			g.passedOn(snap, ipv6)
		}
	}
	g.unmatched()
}

// inVRF reports whether a link's network has routing tables of its own.
func inVRF(snap *routing.Snapshot, l *routing.Link) bool {
	m := snap.Link(l.Master)
	return l.Kind == "vrf" || l.Master != "" && m != nil && m.Kind == "vrf"
}

// proxied reports whether the host answers ARP or NDP for others on a link.
func proxied(link string) bool {
	for _, path := range []string{"ipv4/conf/" + link + "/proxy_arp", "ipv4/conf/all/proxy_arp",
		"ipv6/conf/" + link + "/proxy_ndp", "ipv6/conf/all/proxy_ndp"} {
		if b, err := os.ReadFile("/proc/sys/net/" + path); err == nil && strings.TrimSpace(string(b)) != "0" {
			return true
		}
	}
	return false
}

// passedOn looks for packets that peers sent for other hosts. A destination that
// answers all the same was translated into an address of this host.
func (g *gathering) passedOn(snap *routing.Snapshot, ipv6 bool) {
	answers := make(map[netip.Addr]bool)
	for _, e := range g.inner(probe.B7) {
		src, _ := e.Inner()
		answers[src.Addr()] = true
	}
	for _, e := range g.inner(probe.B4) {
		from, to := e.Inner()
		dst := to.Addr()
		if own, _ := snap.AddrType(from.Addr()); own == routing.TypeLocal {
			continue // this host's own packet, which the peer has sent back
		}
		if !dst.IsGlobalUnicast() || dst.Is6() != ipv6 || answers[dst] {
			continue
		}
		if kind, _ := snap.AddrType(dst); kind != routing.TypeUnicast {
			continue
		}
		ps := g.Tunnel.PeerState(e.Peer)
		g.facts.PassedOn = append(g.facts.PassedOn, finding.PassedOn{Peer: diagnose.PeerLabel(ps.Key, ps.Name), Key: ps.Key, Dst: dst})
		return // one is enough
	}
}

package finding

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
)

// conflicts looks for networks that are both the tunnel's and another link's.
//
// For the network of one of the tunnel's addresses that is so where it is equal
// to the other's or lies within it: then addresses of the other network are not
// reached any more, or those of the tunnel are not. A tunnel's network around
// the other one does no harm, nor does a single address. Of AllowedIPs only an
// equal network counts: to lead a part of a network into a tunnel is common, and
// meant.
func conflicts(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	told := make(map[string]bool) // of each two networks once
	add := func(key string, finding diagnose.Finding) {
		if !told[key] {
			told[key] = true
			found = append(found, finding)
		}
	}
	for _, n := range f.Networks {
		if n.Net.IsSingleIP() {
			continue
		}
		for _, a := range f.Addresses {
			ours := a.Masked()
			if a.IsSingleIP() || ours.Bits() < n.Net.Bits() || !n.Net.Contains(ours.Addr()) || ours != n.Net && n.Proxied {
				continue
			}
			what := fmt.Sprintf("the tunnel's network %s is also that of %s", ours, n.Link)
			if ours != n.Net {
				what = fmt.Sprintf("the tunnel's network %s lies within that of %s, %s", ours, n.Link, n.Net)
			}
			add(ours.String()+n.Link, diagnose.Finding{
				Summary: what + ": of each address in it only one of the two can be reached",
				Fix: fix.Steps{
					fix.Notef("give the tunnel another network, on all its hosts; here in %s:", f.ownSection()),
					fix.Config(f.ownSection(), "Address", "ADDRESS/LENGTH")}})
		}
		if f.RoutesOff {
			continue
		}
		for i := range f.Peers {
			p := &f.Peers[i]
			if !slices.Contains(p.AllowedIPs, n.Net) || told[n.Net.String()+n.Link] {
				continue
			}
			add(p.Key.String()+n.Net.String()+n.Link, diagnose.Finding{Peer: p.Key,
				Summary: fmt.Sprintf("%s, in the AllowedIPs of %s, is also the network of %s: "+
					"of each address in it only one of the two can be reached", n.Net, p.label(), n.Link),
				Fix: fix.Steps{
					fix.Note("renumber one of the two networks, or list only those addresses behind the peer that are needed:"),
					fix.Check("ip route show %s", n.Net)}})
		}
	}
	return found
}

// duplicates looks for this host's tunnel addresses that are a peer's as well.
// That is certain only where the peer is given that very address: a wider prefix
// around it is how a peer that leads to all others is written down.
func duplicates(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for i := range f.Peers {
		p := &f.Peers[i]
		for _, a := range f.Addresses {
			if !slices.Contains(p.AllowedIPs, netip.PrefixFrom(a.Addr(), a.Addr().BitLen())) {
				continue
			}
			found = append(found, diagnose.Finding{Peer: p.Key,
				Summary: fmt.Sprintf("%s is this host's own address in the tunnel, and also in the AllowedIPs of %s: "+
					"what %s sends from it is taken for this host's, and nothing is sent there", a.Addr(), p.label(), p.label()),
				Fix: fix.Steps{fix.Notef("give one of the two another address; here that is Address in %s, or AllowedIPs in %s:",
					f.ownSection().Heading(), f.sectionOf(p)),
					fix.Check("wg show all allowed-ips")}})
		}
	}
	return found
}

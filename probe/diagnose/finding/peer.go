package finding

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// endpointInTunnel looks for peers whose encrypted packets are routed into the
// tunnel itself. AllowedIPs around the endpoint alone do not make that so: a
// mark, or a route of the endpoint's own, leads the packets out.
func endpointInTunnel(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for i := range f.Peers {
		p := &f.Peers[i]
		if p.Route.Kind != evidence.RouteFound || p.Route.Interface != f.Interface {
			continue
		}
		ep := p.Endpoint.Addr()
		found = append(found, diagnose.Finding{Peer: p.Key,
			Summary: fmt.Sprintf("the route to the endpoint of %s, %s, leads into the tunnel itself: %s", p.label(), ep, p.Route.Text),
			Fix:     diagnose.PastTunnel(&p.Route, ep)})
	}
	return found
}

// overhead is what a tunnelled packet grows by: WireGuard's data message (32),
// UDP (8), and an IPv4 (20) or IPv6 header (40).
func overhead(ep netip.Addr) int {
	if ep.Is4() {
		return 60
	}
	return 80
}

// minimum is the least MTU that a link must have for IPv6 (RFC 8200, section 5).
const minimum = 1280

// minimum4 is that of IPv4 (RFC 791).
const minimum4 = 576

// tooLarge looks for ways that full packets of the tunnel do not fit, and tells
// of the one that has the least room. What a router further on cannot pass is not
// known here, unless it has said so.
func tooLarge(f *Facts) []diagnose.Finding {
	var worst *Peer
	fits, ways := f.MTU, 0
	for i := range f.Peers {
		p := &f.Peers[i]
		if p.Route.Kind != evidence.RouteFound || p.Route.Local || p.Route.Interface == f.Interface || p.RouteMTU == 0 {
			continue
		}
		room := p.RouteMTU - overhead(p.Endpoint.Addr())
		if room < f.MTU {
			ways++
		}
		if room < fits {
			worst, fits = p, room
		}
	}
	if worst == nil {
		return nil
	}
	ep := worst.Endpoint.Addr()
	finding := diagnose.Finding{Peer: worst.Key,
		Summary: fmt.Sprintf("the MTU of %s is %d; with the %d bytes that WireGuard adds, "+
			"full packets do not fit the path to the endpoint of %s%s, whose MTU is %d: they are sent in fragments or not at all",
			f.Interface, f.MTU, overhead(ep), worst.label(), andMore(ways-1), worst.RouteMTU),
		Fix: fix.Steps{
			fix.Command("ip link set dev %s mtu %d", f.Interface, fits),
			fix.Notef("and in %s:", f.ownSection()),
			fix.Config(f.ownSection(), "MTU", strconv.Itoa(fits))}}
	switch {
	case fits < minimum4:
		finding.Fix = fix.Steps{fix.Notef("raise the MTU of the path: what is left for the tunnel is less than the %d that IPv4 needs", minimum4)}
	case fits < minimum:
		finding.Fix = append(fix.Steps{fix.Notef("IPv6 in the tunnel needs %d; raise the MTU of the path if you can, else:", minimum)},
			finding.Fix...)
	}
	return []diagnose.Finding{finding}
}

// andMore is for what is told of one peer and holds for n others.
func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// noKeepalive looks for peers that call this host, although NAT in between
// forgets the way back as soon as this host has been silent for a while. That
// there is NAT follows from a private source address and a public endpoint, and
// that the peer calls from a connection that somebody behind it has begun: a
// client, which only calls itself, needs no keepalives.
func noKeepalive(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for i := range f.Peers {
		p := &f.Peers[i]
		src, ep := p.Route.Source, p.Endpoint.Addr()
		if p.Keepalive != 0 || p.CallsIn || p.Opened.IsZero() || !private(src) || !public(ep) {
			continue
		}
		found = append(found, diagnose.Finding{Peer: p.Key,
			Summary: fmt.Sprintf("connections come in from %s (the latest at %s), and this host, %s, is behind NAT: without keepalives the NAT "+
				"mapping expires when the tunnel is idle, and %s cannot reach this host until it sends again",
				p.label(), p.Opened.Format(time.TimeOnly), src, p.label()),
			Fix: fix.Steps{
				fix.Command("wg set %s peer %s persistent-keepalive 25", f.Interface, p.Key),
				fix.Notef("and in %s:", f.sectionOf(p)),
				fix.Config(f.sectionOf(p), "PersistentKeepalive", "25")}})
	}
	return found
}

// carrier is what providers give to customers behind their own NAT (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether an address is one that the internet knows no way to.
func private(a netip.Addr) bool { return a.IsValid() && (a.IsPrivate() || carrier.Contains(a)) }

// public reports whether an address is one of a host on the internet.
func public(a netip.Addr) bool { return a.IsGlobalUnicast() && !private(a) }

package diagnose

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// PastTunnel is what has packets to an endpoint, which the route leads into the
// tunnel itself, leave outside of it.
func PastTunnel(r *evidence.RouteDecision, endpoint netip.Addr) fix.Steps {
	if !r.Beatable && r.Remove != "" {
		return RemoveRoute(r, func(link string) bool { return link != r.Interface })
	}
	add := fix.Commands(r.Around)
	if r.Around == "" {
		add = fix.Steps{fix.Command("ip route add %s via GATEWAY dev INTERFACE", netip.PrefixFrom(endpoint, endpoint.BitLen()))}
	}
	return append(fix.Steps{
		fix.Notef("leave %s out of AllowedIPs, or give it a route of its own outside the tunnel:", endpoint)}, add...)
}

// RemoveRoute has what decided decide no more: with a rule ahead of it that leads to a link
// which is wanted, or else by taking it away.
func RemoveRoute(r *evidence.RouteDecision, wanted func(link string) bool) fix.Steps {
	for _, a := range r.Ahead {
		if wanted(a.Interface) {
			return append(fix.Steps{fix.Notef("a rule for this destination alone, ahead of %s:", r.By)}, fix.Commands(a.Command)...)
		}
	}
	return append(fix.Steps{fix.Note("remove the rule or route responsible:")}, fix.Commands(r.Remove)...)
}

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
		return RemoveRoute(r)
	}
	add := fix.Commands(r.Around)
	if r.Around == "" {
		add = fix.Steps{fix.Command("ip route add %s via GATEWAY dev INTERFACE", netip.PrefixFrom(endpoint, endpoint.BitLen()))}
	}
	return append(fix.Steps{
		fix.Notef("leave %s out of AllowedIPs, or give it a route of its own outside the tunnel:", endpoint)}, add...)
}

// RemoveRoute takes away what decided.
func RemoveRoute(r *evidence.RouteDecision) fix.Steps {
	return append(fix.Steps{fix.Note("remove the rule or route responsible:")}, fix.Commands(r.Remove)...)
}

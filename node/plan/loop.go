package plan

import (
	"math"
	"net/netip"

	"github.com/wgnode/wgnode/node/config"
)

// Loop is an endpoint whose encrypted packets the routes of [Build] would lead into
// the tunnel itself: Allowed, one of the AllowedIPs, is longer than Now, the route of
// the main table by which this host reaches the endpoint today. A default route among
// the AllowedIPs makes no loop, because it comes with a mark and a table of its own.
type Loop struct {
	Endpoint     netip.Addr
	Allowed, Now netip.Prefix
}

// coversFamily reports whether routes that are no default route lead all of a family
// into the tunnel together, as the halves 0.0.0.0/1 and 128.0.0.0/1 do.
func coversFamily(cfg *config.Config, ipv4 bool) bool {
	if cfg.Interface.Table != config.TableAuto {
		return false
	}
	// Fewer addresses than the family has cannot be all. That is so nearly always, and a
	// hub has thousands of prefixes.
	share := 0.0
	for i := range cfg.Peers {
		for _, p := range cfg.Peers[i].AllowedIPs {
			if p.Addr().Is4() == ipv4 {
				share += math.Ldexp(1, -p.Bits())
			}
		}
	}
	if share < 1 {
		return false
	}
	all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if ipv4 {
		all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	var of []netip.Prefix
	for _, r := range cfg.AllowedRoutes() {
		switch {
		case r.Prefix.Addr().Is4() != ipv4:
		case r.Prefix.Bits() == 0:
			return false
		default:
			of = append(of, r.Prefix)
		}
	}
	return len(of) > 1 && len(subtract(all, of)) == 0
}

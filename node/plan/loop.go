package plan

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

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

// gatherLoops finds the loops among endpoints. matched is [route.Matched].
func gatherLoops(cfg *config.Config, endpoints []netip.Addr, matched func(netip.Addr) (netip.Prefix, string, error)) ([]Loop, error) {
	if cfg.Interface.Table != config.TableAuto {
		return nil, nil
	}
	// A route to one address cannot cover an endpoint by accident, and hubs have
	// thousands of them.
	var wide bart.Lite
	for _, r := range cfg.AllowedRoutes() {
		if r.Prefix.Bits() > 0 && !r.Prefix.IsSingleIP() {
			wide.Insert(r.Prefix)
		}
	}
	var loops []Loop
	for _, e := range endpoints {
		e = e.Unmap()
		allowed, covered := wide.LookupPrefixLPM(netip.PrefixFrom(e.WithZone(""), e.BitLen()))
		excluded := slices.ContainsFunc(cfg.Interface.Exclude, func(p netip.Prefix) bool { return p.Contains(e) })
		if !covered || excluded || slices.ContainsFunc(loops, func(l Loop) bool { return l.Endpoint == e }) {
			continue
		}
		now, link, err := matched(e)
		if err != nil {
			return nil, err
		}
		if now.IsValid() && link != cfg.Name && now.Bits() < allowed.Bits() {
			loops = append(loops, Loop{e, allowed, now})
		}
	}
	return loops, nil
}

// coversFamily reports whether routes that are no default route lead all of a family
// into the tunnel together, as the halves 0.0.0.0/1 and 128.0.0.0/1 do.
func coversFamily(cfg *config.Config, ipv4 bool) bool {
	if cfg.Interface.Table != config.TableAuto {
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

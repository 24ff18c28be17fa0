//go:build linux

package plan

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// gatherLoops finds the loops among endpoints, whose packets have the mark.
func gatherLoops(cfg *config.Config, endpoints []netip.Addr, mark uint32) ([]Loop, error) {
	if cfg.Interface.Table != config.TableAuto {
		return nil, nil
	}
	routes, err := routing.Begin()
	if err != nil {
		return nil, err
	}
	defer routes.End()
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
		now, ok, err := routes.Matched(routing.Flow{Dst: e, Mark: mark}.Own())
		if err != nil {
			return nil, err
		}
		into := len(now.Hops) == 1 && now.Hops[0].Dev == cfg.Name
		if ok && now.Table == routing.Main && !into && now.Dst.Bits() < allowed.Bits() {
			loops = append(loops, Loop{e, allowed, now.Dst})
		}
	}
	return loops, nil
}

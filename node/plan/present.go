//go:build linux

package plan

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// present is what the kernel of this host has. Of thousands of routes the tables
// are listed once.
type present struct {
	System
	routes, throws map[routesOf]map[netip.Prefix]bool
}

type routesOf struct {
	table routing.Table
	ipv6  bool
}

var _ observed = System{}

func (s System) present() Present {
	return &present{s, make(map[routesOf]map[netip.Prefix]bool), make(map[routesOf]map[netip.Prefix]bool)}
}

func (p *present) HasAddress(l link.Link, a netip.Prefix) (bool, error) {
	have, err := address.Prefixes(l)
	return slices.Contains(have, a), err
}

func (p *present) HasRoute(l link.Link, to netip.Prefix, table int) (bool, error) {
	return has(p.routes, to, table, func(r *routing.Route) bool {
		return r.Type == routing.TypeUnicast && len(r.Hops) == 1 && r.Hops[0].Link == l.Index && !r.Hops[0].Gateway.IsValid()
	})
}

func (p *present) HasThrow(to netip.Prefix, table int) (bool, error) {
	return has(p.throws, to, table, func(r *routing.Route) bool { return r.Type == routing.TypeThrow })
}

// has reports whether a table, 0 for the main one, has a route to a prefix that is as
// those wanted.
func has(listed map[routesOf]map[netip.Prefix]bool, to netip.Prefix, table int, wanted func(*routing.Route) bool) (bool, error) {
	of := routesOf{cmp.Or(routing.Table(table), routing.Main), to.Addr().Is6()}
	if listed[of] == nil {
		routes, err := routing.List(of.ipv6, of.table)
		if err != nil {
			return false, err
		}
		listed[of] = make(map[netip.Prefix]bool)
		for i := range routes {
			if r := &routes[i]; wanted(r) {
				listed[of][r.Dst] = true
			}
		}
	}
	return listed[of][to.Masked()], nil
}

func (*present) HasRule(r rule.Rule) (bool, error)  { return rule.Has(r) }
func (*present) Sysctl(name string) (string, error) { return sysctl.Read(name) }
func (p *present) KillSwitchDiffers(link string) (what []string, err error) {
	err = p.tables(func(k *nftables.Keeper) error { what, err = k.KillSwitchDiffers(link); return err })
	return what, err
}

func (p *present) GatewayDiffers(link string) (what []string, err error) {
	err = p.tables(func(k *nftables.Keeper) error { what, err = k.GatewayDiffers(link); return err })
	return what, err
}

func (p *present) FirewallDiffers(t nftables.Table) (what []string, err error) {
	err = p.tables(func(k *nftables.Keeper) error { what, err = k.TableDiffers(t); return err })
	return what, err
}

func (*present) DNSDiffers(ctx context.Context, l link.Link, c resolver.Change) (string, error) {
	return resolver.Host{}.Differs(ctx, c, l.Index)
}

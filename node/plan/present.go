//go:build linux

package plan

import (
	"context"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/address"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/nftables"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/node/route"
	"github.com/wgnode/wgnode/node/rule"
	"github.com/wgnode/wgnode/node/sysctl"
)

// present is what the kernel of this host has. Of thousands of routes the tables
// are listed once.
type present struct {
	System
	routes, throws map[routesOf]map[netip.Prefix]bool
}

type routesOf struct {
	table int
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
	return has(p.routes, to, table, func(ipv6 bool) (map[netip.Prefix]bool, error) { return route.To(l, ipv6, table) })
}

func (p *present) HasThrow(to netip.Prefix, table int) (bool, error) {
	return has(p.throws, to, table, func(ipv6 bool) (map[netip.Prefix]bool, error) { return route.Throws(ipv6, table) })
}

func has(listed map[routesOf]map[netip.Prefix]bool, to netip.Prefix, table int,
	list func(ipv6 bool) (map[netip.Prefix]bool, error)) (bool, error) {
	of := routesOf{table, to.Addr().Is6()}
	if _, ok := listed[of]; !ok {
		routes, err := list(of.ipv6)
		if err != nil {
			return false, err
		}
		listed[of] = routes
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

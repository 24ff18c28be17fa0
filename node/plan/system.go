//go:build linux

package plan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/node/route"
)

// System is the kernel of this host, in the network namespace of the calling
// thread, and what it resolves names by, in that thread's mount namespace.
type System struct {
	// Tables adds the firewall's tables, and remembers them. If it is nil, nobody
	// does.
	Tables *nftables.Keeper
	routes *route.Session // nil: none
}

var (
	_ Kernel = System{}
	_ busy   = System{}
)

// begin makes a System that keeps a socket open.
func (s System) begin() (Kernel, func(), error) {
	routes, err := route.Begin()
	if err != nil {
		return nil, nil, err
	}
	s.routes = routes
	return s, routes.End, nil
}

func (System) Link(name string) (link.Link, error)             { return link.ByName(name) }
func (System) DeleteLink(l link.Link) error                    { return link.Delete(l) }
func (System) SetUp(l link.Link, mtu int) error                { return link.SetUp(l, mtu) }
func (System) AddAddress(l link.Link, p netip.Prefix) error    { return address.Add(l, p) }
func (System) DeleteAddress(l link.Link, p netip.Prefix) error { return address.Delete(l, p) }
func (System) AddRule(r rule.Rule) error                       { return rule.Add(r) }
func (System) DeleteRule(r rule.Rule) error                    { return rule.Delete(r) }

func (s System) AddRoute(l link.Link, p netip.Prefix, table int) error {
	if s.routes != nil {
		return s.routes.Add(l, p, table)
	}
	return route.Add(l, p, table)
}

func (System) ReplaceRoute(l link.Link, p netip.Prefix, table int) error {
	return route.Replace(l, p, table)
}

func (System) DeleteRoute(l link.Link, p netip.Prefix, table int) error {
	return route.Delete(l, p, table)
}

func (System) SetDNS(ctx context.Context, l link.Link, c resolver.Change) error {
	return resolver.Host{}.Do(ctx, c, l.Index)
}

func (System) ResetDNS(l link.Link, c resolver.Change) error {
	return resolver.Host{}.Undo(c, l.Index)
}

// tables has a keeper do something. One that it makes for it lets go of the
// tables at once.
func (s System) tables(do func(*nftables.Keeper) error) error {
	if s.Tables != nil {
		return do(s.Tables)
	}
	var k nftables.Keeper
	return errors.Join(do(&k), k.Close())
}

func (s System) DeleteFirewall(t nftables.Table) error {
	return s.tables(func(k *nftables.Keeper) error { return k.DeleteTable(t) })
}

func (s System) AddKillSwitch(table nftables.KillSwitch) error {
	return s.tables(func(k *nftables.Keeper) error { return k.AddKillSwitch(table) })
}

func (s System) DeleteKillSwitch(link string) error {
	return s.tables(func(k *nftables.Keeper) error { return k.DeleteKillSwitch(link) })
}

func (s System) AddGateway(g nftables.Gateway) error {
	return s.tables(func(k *nftables.Keeper) error { return k.AddGateway(g) })
}

func (s System) DeleteGateway(link string) error {
	return s.tables(func(k *nftables.Keeper) error { return k.DeleteGateway(link) })
}

func (System) AddThrow(p netip.Prefix, table int) error { return route.AddThrow(p, table) }
func (System) ReplaceThrow(p netip.Prefix, table int) error {
	return route.ReplaceThrow(p, table)
}
func (System) DeleteThrow(p netip.Prefix, table int) error { return route.DeleteThrow(p, table) }

func (System) Sysctl(name string) (string, error) { return sysctl.Read(name) }
func (System) SetSysctl(name, value string) error { return sysctl.Write(name, value) }

// AddFirewall protects all addresses of the link, as wg-quick does: also the
// link-local one that the kernel has made up.
func (s System) AddFirewall(l link.Link, t nftables.Table) error {
	var err error
	if t.Addresses, err = address.List(l, t.IPv6); err != nil {
		return fmt.Errorf("add nft table %s %s: %w", t.Family(), t.Name(), err)
	}
	// What comes in on another link is never taken for a link-local address of this one.
	t.Addresses = slices.DeleteFunc(t.Addresses, func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() })
	return s.tables(func(k *nftables.Keeper) error { return k.AddTable(t) })
}

// MarkedRule is about IPv4, whose check of source addresses it matters to.
func (System) MarkedRule() (string, error) {
	others, err := rule.ListMarked(false)
	if err != nil || len(others) == 0 {
		return "", err
	}
	return others[0].String(), nil
}

const noFollow = unix.O_NOFOLLOW

package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
)

// Excluded prefixes stay outside of the tunnel by routes alone; the peers'
// AllowedIPs are as the configuration has them.
//
// In a table of its own, a default route's above all, an excluded prefix gets a
// throw route: who asks for it goes on to the next rule, which leads to the main
// table. So it follows the host's own routes, whatever they become. The main
// table has nothing to go on to. There a route is split into those that are left
// of it without the excluded prefixes.

func (b *builder) checkExclude() error {
	for _, e := range b.cfg.Interface.Exclude {
		if e.Bits() == 0 {
			return fmt.Errorf("exclude %s: that leaves nothing of the family to the tunnel; AllowedIPs without it do so too", e)
		}
	}
	return nil
}

// excluded returns the excluded prefixes that are within p, but not p itself, and
// whether one of them covers p.
func (b *builder) excluded(p netip.Prefix) (within []netip.Prefix, all bool) {
	for _, e := range b.cfg.Interface.Exclude {
		switch {
		case covers(e, p):
			return nil, true
		case covers(p, e):
			within = append(within, e)
		}
	}
	return within, false
}

// throws adds what keeps the excluded prefixes that are within a route out of a
// table. It goes before the route.
func (b *builder) throws(within []netip.Prefix, table int) {
	for _, e := range within {
		s := Step{Op: OpThrow, Prefix: e, Table: table, Why: "exclude: the rules lead on from here, " + b.wayTo(e)}
		if !slices.ContainsFunc(b.steps, func(have Step) bool {
			return have.Op == OpThrow && have.Prefix == e && have.Table == table
		}) {
			b.add(s)
		}
	}
}

func (b *builder) wayTo(p netip.Prefix) string {
	f, _ := b.host.Default.family(p)
	if f.Default == "" {
		return "as far as this host has a route"
	}
	return "by " + f.Default + " unless this host has a better route"
}

// split adds the routes that are left of one in the main table.
func (b *builder) split(r config.Route, within []netip.Prefix) {
	for _, p := range subtract(r.Prefix, within) {
		b.add(Step{Op: OpRoute, Prefix: p, Why: fmt.Sprintf("%s; a part of %s, without %s, which exclude leaves out",
			b.whyRoute(r), r.Prefix, some(texts(within)))})
	}
}

// subtract returns the fewest prefixes that together are p without others, in
// the order of their addresses.
func subtract(p netip.Prefix, others []netip.Prefix) []netip.Prefix {
	others = slices.DeleteFunc(slices.Clone(others), func(o netip.Prefix) bool { return !o.Overlaps(p) })
	switch {
	case len(others) == 0:
		return []netip.Prefix{p}
	case slices.ContainsFunc(others, func(o netip.Prefix) bool { return covers(o, p) }):
		return nil
	}
	low, high := halves(p)
	return append(subtract(low, others), subtract(high, others)...)
}

// halves splits a prefix that is longer than one address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	b := p.Addr().AsSlice()
	low = netip.PrefixFrom(p.Addr(), p.Bits()+1)
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	a, _ := netip.AddrFromSlice(b)
	return low, netip.PrefixFrom(a, p.Bits()+1)
}

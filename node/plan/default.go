package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
)

// DefaultState is what Build needs to know about the host if a default route is
// to lead into the tunnel.
//
// Such a route must not replace the host's own: the encrypted packets need
// that one. So it goes into a table of its own, which rules lead all packets to
// but the encrypted ones; these carry a mark.
type DefaultState struct {
	// FreeTable is the first number, from 51820 on, of a table that has no
	// route of either family.
	FreeTable int
	V4, V6    FamilyState
	// SrcValidMark says that net.ipv4.conf.all.src_valid_mark is 1 already;
	// SrcValidMarkFixed why it cannot be set, "" if it can.
	SrcValidMark      bool
	SrcValidMarkFixed string
}

// FamilyState is the part of one address family.
type FamilyState struct {
	// Priority is the one that the kernel would give to the next rule.
	Priority int
	// Default is the host's default route, such as "via 10.9.1.1 dev eth0", ""
	// if there is none; Networks are the other ways in its main table.
	Default  string
	Networks []string
}

// family returns the part of a prefix's family, and whether that is IPv4.
func (d *DefaultState) family(p netip.Prefix) (f *FamilyState, ipv4 bool) {
	if p.Addr().Is4() {
		return &d.V4, true
	}
	return &d.V6, false
}

// firstTable is where wg-quick begins to look for a free table.
const firstTable = 51820

// hasDefault reports whether cfg has a default route that needs the treatment.
func hasDefault(cfg *config.Config) bool {
	return cfg.Interface.Table == config.TableAuto &&
		slices.ContainsFunc(cfg.AllowedRoutes(), func(r config.Route) bool { return r.Prefix.Bits() == 0 })
}

// chooseTable settles the mark of the encrypted packets, which is also the
// number of the default routes' table. It is not written back to the
// configuration: the next time another table may be free.
//
// A kill switch needs a mark too, as what it tells the encrypted packets by.
func (b *builder) chooseTable() error {
	b.mark = b.cfg.Interface.FwMark
	if b.mark == 0 && (hasDefault(b.cfg) || b.cfg.Interface.KillSwitch) {
		b.mark = uint32(b.host.Default.FreeTable)
	}
	if !hasDefault(b.cfg) {
		return nil
	}
	d := &b.host.Default
	for _, r := range b.cfg.AllowedRoutes() {
		f, ipv4 := d.family(r.Prefix)
		switch {
		case r.Prefix.Bits() != 0 || !ipv4 && b.host.NoIPv6 != "":
		case f.Priority < 2: // there are two rules, and 0 is the local table's
			return fmt.Errorf("add rules for %s: there is no priority left between those of the local table and the next", r.Prefix)
		case ipv4 && !d.SrcValidMark && d.SrcValidMarkFixed != "":
			return fmt.Errorf("%s; without it replies to a tunnel that has the default route may be dropped; "+
				"a container gets it by the option --sysctl %s=1", d.SrcValidMarkFixed, srcValidMark)
		}
	}
	return nil
}

// defaultRoute leads all packets of a family into the tunnel that have no
// better way, nor are within an excluded prefix.
func (b *builder) defaultRoute(r config.Route, excluded []netip.Prefix) {
	d := &b.host.Default
	f, ipv4 := d.family(r.Prefix)
	step := func(op Op, why string) Step {
		return Step{Op: op, Prefix: r.Prefix, Mark: b.mark, Why: why}
	}

	if ipv4 {
		// Before the rules, which would for a moment have replies dropped. Also if it
		// is so already: another node that has set it must not take it back.
		why := "so that the check of source addresses (rp_filter) uses the mark for the route back; it was 0"
		if d.SrcValidMark {
			why = "it is 1 already, and must stay so while " + b.cfg.Name + " is up"
		}
		s := step(OpValidMark, why)
		s.Mark = 0
		b.add(s)
	}
	// The rules come first: until the route is there the table is empty, and no
	// packet that the main table would send elsewhere gets into the tunnel.
	marked := step(OpMarked, fmt.Sprintf(
		"all packets ask table %d, but not the encrypted ones, which carry the mark and leave %s", b.mark, f.wayOut()))
	marked.Table, marked.Priority = int(b.mark), f.Priority
	b.add(marked)

	suppress := step(OpSuppress, "asked before that: the main table, but not its default route; "+f.whyNetworks())
	suppress.Mark, suppress.Priority = 0, f.Priority-1
	b.add(suppress)

	b.throws(excluded, int(b.mark))
	route := step(OpRoute, b.whyRoute(r)+"; "+f.whyDefault())
	route.Table, route.Mark, route.Note = int(b.mark), 0, b.otherFamily(ipv4)
	b.add(route)
	if added := &b.steps[len(b.steps)-1]; added.Skip != "" {
		added.Note = ""
		if f.Default != "" {
			added.Skip += "; what this host sends by its own default route " + f.Default + " stays outside of the tunnel"
		}
	}
}

// firewalls are the tables that go with the default routes. They come before the device is configured:
// from then on packets leave encrypted, for keepalives, and because the kernel looks for routers, and the
// connection of one that left before its table was there has no mark, so that the rules would have its
// reply dropped.
func (b *builder) firewalls() []Step {
	if b.cfg.Interface.Table != config.TableAuto {
		return nil
	}
	var all []Step
	for _, r := range longestFirst(b.cfg.AllowedRoutes()) {
		if _, within := b.excluded(r.Prefix); r.Prefix.Bits() != 0 || within {
			continue
		}
		s := Step{Op: OpFirewall, Prefix: r.Prefix, Mark: b.mark,
			Why: fmt.Sprintf("table wg-quick-%s: keeps others than the tunnel from reaching this host's addresses in it, "+
				"and gives replies to encrypted packets their mark %d", b.cfg.Name, b.mark)}
		if b.host.NoNftables != "" {
			s.Skip = fmt.Sprintf("%s; without the table wg-quick-%s, others on this host's networks can reach its addresses in the "+
				"tunnel, and a strict rp_filter may drop the tunnel's replies", b.host.NoNftables, b.cfg.Name)
		}
		all = append(all, s)
	}
	return all
}

// otherFamily warns of packets that leave outside of a tunnel which takes all of
// one family, "" if there are none.
func (b *builder) otherFamily(ipv4 bool) string {
	other := &b.host.Default.V4
	if ipv4 {
		other = &b.host.Default.V6
	}
	if other.Default == "" || b.cfg.Interface.KillSwitch {
		return ""
	}
	for _, r := range b.cfg.AllowedRoutes() {
		if r.Prefix.Bits() <= 1 && r.Prefix.Addr().Is4() != ipv4 {
			return ""
		}
	}
	return finding.OneFamily(ipv4, other.Default)
}

func (f *FamilyState) whyDefault() string {
	if f.Default == "" {
		return "this host has no other default route"
	}
	return "it goes before the default route " + f.Default
}

func (f *FamilyState) wayOut() string {
	if f.Default == "" {
		return "as before"
	}
	return f.Default
}

// whyNetworks tells what keeps its way, as far as one can take in.
func (f *FamilyState) whyNetworks() string {
	if len(f.Networks) == 0 {
		return "it has no other route now"
	}
	return "so " + some(f.Networks) + " stay reachable"
}

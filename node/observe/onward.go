//go:build linux

package observe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/dryrun"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/owner"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// dryRules is the ruleset of this host, read again when it has changed, and what it came to
// for packets of late. Anybody can have packets dropped: a second has only so many runs.
type dryRules struct {
	rules *dryrun.Rules
	fixes map[string][]string
	since time.Time
	runs  int
}

const (
	dryRunsAtMost = 20 // in a second
	dryFixesKept  = 64
)

func (d *dryRules) get() (*dryrun.Rules, error) {
	now, err := netfilter.Generation()
	if err != nil {
		return nil, err
	}
	if d.rules == nil || d.rules.Generation() != now {
		d.fixes = make(map[string][]string)
		if d.rules, err = dryrun.Read(); err != nil {
			return nil, err
		}
	}
	return d.rules, nil
}

// spent reports whether there were as many runs lately as there may be, and counts one.
func (d *dryRules) spent(now time.Time) bool {
	if now.Sub(d.since) > time.Second {
		d.since, d.runs = now, 0
	}
	d.runs++
	return d.runs > dryRunsAtMost
}

// onward is what is said of a packet that a fix would let pass the chain that dropped it: what
// else would drop it, or its answer, and what lets that pass.
type onward struct {
	packet   *Packet
	rules    *dryrun.Rules
	services Ports
	lines    []string // of the whole fix
}

// mended returns the lines of a fix with those for whatever else is in the way of the packet,
// or of its answer. fate is how the packet ended, and at its header where that was.
func (p *Packet) mended(fix []string, fate netfilter.Fate, at netfilter.Header, services Ports) []string {
	if p.dry == nil {
		return fix
	}
	rules, err := p.dry.get()
	if err != nil { // then this fix is all that is known
		return fix
	}
	key := fmt.Sprint(fix, fate.Hook, fate.Chain, p.Start, at.Conntrack.State, at.In, at.Out, at.Mark)
	if known, ok := p.dry.fixes[key]; ok {
		return known
	}
	if p.dry.spent(time.Now()) {
		return fix
	}
	if len(p.dry.fixes) == dryFixesKept {
		clear(p.dry.fixes)
	}
	all := p.onward(rules, fix, fate, at, services)
	p.dry.fixes[key] = all
	return all
}

func (p *Packet) onward(rules *dryrun.Rules, fix []string, fate netfilter.Fate, at netfilter.Header, services Ports) []string {
	path, from, tables := p.path(fate.Hook, at)
	if len(path) == 0 {
		return fix
	}
	o := &onward{packet: p, rules: rules, services: services, lines: slices.Clone(fix)}
	pk := p.dryPacket(at, tables)
	var passed []netfilter.Chain
	for i := range p.Visits {
		passed = append(passed, p.Visits[i].Chain)
	}
	translated := false
	for _, hook := range path[from:] {
		pk.leave(hook, path)
		end, known := o.through(hook, &pk.Packet, passed, "the packet")
		if !known || hook == netfilter.Prerouting && end.Translated {
			return o.lines
		}
		translated = translated || end.Translated
	}
	if pk.Reply {
		return o.lines // what it answers has passed already
	}
	answer := dryPacket{Packet: pk.Answer(), out: pk.In, outIndex: pk.InIndex}
	back := []netfilter.Hook{netfilter.Output, netfilter.Postrouting}
	if last := path[len(path)-1]; last == netfilter.Postrouting {
		back = slices.Clone(path)
		if path[0] == netfilter.Output {
			back = []netfilter.Hook{netfilter.Prerouting, netfilter.Input}
		}
	}
	for _, hook := range back {
		answer.leave(hook, back)
		if answer.Untold = dryrun.Neither; translated && hook == netfilter.Prerouting {
			answer.Untold = dryrun.Destination // what the source has become
		}
		if _, known := o.through(hook, &answer.Packet, nil, "its answer"); !known {
			break
		}
	}
	return o.lines
}

// path is the hooks that a packet goes through, and which of them the given one is. None if
// it is not known where it would go.
func (p *Packet) path(hook netfilter.Hook, at netfilter.Header) (path []netfilter.Hook, from int, tables *routing.Snapshot) {
	tables, err := routing.Take(routing.Options{Only: []netip.Addr{at.Src, at.Dst}})
	if err != nil {
		return nil, 0, nil
	}
	here := []netfilter.Hook{netfilter.Prerouting, netfilter.Input}
	onward := []netfilter.Hook{netfilter.Prerouting, netfilter.Forward, netfilter.Postrouting}
	kind, _ := tables.AddrType(at.Dst)
	switch {
	case p.Start == netfilter.Output:
		path = []netfilter.Hook{netfilter.Output, netfilter.Postrouting}
	case hook == netfilter.Input, hook != netfilter.Forward && hook != netfilter.Postrouting && kind == routing.TypeLocal:
		path = here
	default:
		path = onward
	}
	from = max(slices.Index(path, hook), 0)
	if hook == netfilter.Egress {
		from = len(path) // nothing comes after it
	}
	return path, from, tables
}

// dryPacket is a packet that is run dry, with the link that it leaves by once routing has said so.
type dryPacket struct {
	dryrun.Packet
	out      string
	outIndex uint32
}

func (p *Packet) dryPacket(h netfilter.Header, tables *routing.Snapshot) *dryPacket {
	d := &dryPacket{Packet: dryrun.Packet{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SrcPort: h.SrcPort, DstPort: h.DstPort,
		ICMPType: h.ICMPType, TCPFlags: h.TCPFlags, In: routing.LinkName(h.In), InIndex: h.In, Mark: h.Mark,
		State: h.Conntrack.State, Reply: h.Conntrack.Reply}, out: routing.LinkName(h.Out), outIndex: h.Out}
	d.AddrType = addrType(tables)
	if d.State == 0 { // a raw chain, or a kernel that does not tell it
		switch c := p.Conntrack(); {
		case c == nil || c.Unreplied:
			d.State = netfilter.New
		default:
			d.State = netfilter.Established
		}
	}
	if h.Out == 0 && p.Start == netfilter.Prerouting {
		w := tables.Walk(routing.Flow{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SPort: h.SrcPort, DPort: h.DstPort, Mark: h.Mark, IIF: d.In})
		d.out = tables.Evidence(&w).Interface
		d.outIndex = routing.LinkIndex(d.out)
	}
	return d
}

// addrType is what the tables say of addresses.
func addrType(tables *routing.Snapshot) func(netip.Addr) (uint8, bool) {
	return func(a netip.Addr) (uint8, bool) {
		if kind, _ := tables.AddrType(a); kind != routing.TypeNone {
			return uint8(kind), true
		}
		return uint8(routing.TypeUnicast), true // as the kernel says of all that it has nothing about
	}
}

// leave gives the packet the links that it has at a hook of its path.
func (d *dryPacket) leave(hook netfilter.Hook, path []netfilter.Hook) {
	switch hook {
	case netfilter.Prerouting, netfilter.Input:
		d.Out, d.OutIndex = "", 0
	default:
		d.Out, d.OutIndex = d.out, d.outIndex
	}
	if path[0] == netfilter.Output {
		d.In, d.InIndex = "", 0
	}
}

// maxInTheWay bounds how many chains a fix opens besides the one that dropped the packet.
const maxInTheWay = 6

// through takes a packet through a hook, but for the chains that it has passed. It adds to the
// fix what lets it pass what would drop it, and returns false if it is not known whether
// something would.
func (o *onward) through(hook netfilter.Hook, pk *dryrun.Packet, passed []netfilter.Chain, what string) (dryrun.End, bool) {
	for range maxInTheWay {
		next := *pk
		end := o.rules.Run(hook, &next, passed...)
		switch end.Outcome {
		case dryrun.Passed:
			*pk = next
			return end, true
		case dryrun.Dropped:
			o.admit(end, hook, pk, what)
			passed = append(slices.Clone(passed), end.Chain)
		case dryrun.Unknown:
			o.lines = append(o.lines, fmt.Sprintf("# whether %s passes chain %s was not found out: that depends on %s of rule %s",
				what, end.Chain, end.Why, o.rule(end).InTable()))
			return end, false
		}
	}
	return dryrun.End{}, false
}

// rule is what decides.
func (o *onward) rule(end dryrun.End) netfilter.Rule {
	c := end.Chain
	if end.Handle == 0 {
		return netfilter.Rule{Table: c.Table, Chain: c.Name, Program: "nft"}
	}
	last := end.Chains[len(end.Chains)-1]
	return o.packet.rule(c, netfilter.Step{Kind: netfilter.RuleStep, Chain: last, Handle: end.Handle})
}

// admit adds what lets a packet pass a chain that would drop it, but for lines that the fix
// has already.
func (o *onward) admit(end dryrun.End, hook netfilter.Hook, pk *dryrun.Packet, what string) {
	rule := o.rule(end)
	h := netfilter.Header{Src: pk.Src, Dst: pk.Dst, Proto: pk.Proto, SrcPort: pk.SrcPort, DstPort: pk.DstPort,
		In: pk.InIndex, Out: pk.OutIndex}
	d := &owner.Drop{Family: rule.Table.Family, Table: rule.Table.Name, Chains: end.Chains, Hook: hook.String(), Packet: ownedPacket(h)}
	if end.Handle != 0 {
		d.Rule = rule.Text + rule.NoText
	}
	_, lines := admit(rule, d, h, o.services)
	lines = slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(o.lines, line) })
	if !slices.ContainsFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "# ") }) {
		return
	}
	o.lines = append(o.lines, fmt.Sprintf("# then chain %s would drop %s (%s > %s, %s): let it pass, too:",
		end.Chain, what, h.Src, h.Dst, probe.ProtocolName(h.Proto)))
	o.lines = append(o.lines, lines...)
}

//go:build linux

package observe

import (
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/dryrun"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// Finder finds the rule of nftables that has dropped a packet where only the kernel's word is
// there, since the trace is late or was turned off. It goes by elimination: the packet is run
// dry through the hook with everything that may have been so and is not known, its connection's
// state and the other link. The runs that pass are not what happened. If all others end at one
// rule, that is it. The zero Finder is ready. It belongs to one goroutine.
type Finder struct {
	dry   dryRules
	texts netfilter.Finder
}

// maxRuns bounds how many possibilities are tried.
const maxRuns = 120

// states are what connection tracking may make of a packet.
var states = []struct {
	state netfilter.State
	reply bool
}{
	{netfilter.New, false}, {netfilter.Established, false}, {netfilter.Established, true}, {netfilter.Related, false},
	{netfilter.Related, true}, {netfilter.Invalid, false}, {netfilter.Untracked, false},
}

// Find returns the rule, or the policy, that has dropped a packet at a device, with commands
// that let such packets pass; nil if it is not certain which, or there is none.
func (f *Finder) Find(d *Dropped, device string, services Ports) *evidence.Drop {
	hook := netfilter.HookNamed(d.Hook)
	whole := d.Event.Flags&probe.FlagFragment == 0
	if d.Reason != "NETFILTER_DROP" || d.Place != "nft_do_chain" || hook == netfilter.HookUnknown || !whole {
		return nil
	}
	rules, err := f.dry.get()
	if err != nil || f.dry.spent(time.Now()) {
		return nil
	}
	end, last, ok := eliminate(rules, hook, d, device)
	if !ok {
		return nil
	}
	p := &Packet{Packet: &netfilter.Packet{Time: d.At, First: last, Last: last}, rules: &f.texts, dry: &f.dry}
	if p.Start = netfilter.Prerouting; hook == netfilter.Output || hook == netfilter.Postrouting && last.In == 0 {
		p.Start = netfilter.Output
	}
	visit := netfilter.Visit{Chain: end.Chain, Header: last}
	for _, chain := range end.Chains {
		visit.Steps = append(visit.Steps, netfilter.Step{Kind: netfilter.EndStep, Chain: chain})
	}
	step := netfilter.Step{Kind: netfilter.PolicyStep, Chain: end.Chain.Name}
	if end.Handle != 0 {
		step = netfilter.Step{Kind: netfilter.RuleStep, Chain: end.Chains[len(end.Chains)-1], Handle: end.Handle}
	}
	p.Visits = []netfilter.Visit{visit}
	return p.drop(netfilter.Fate{Outcome: netfilter.Dropped, Hook: hook, Chain: end.Chain, Step: step}, services)
}

// eliminate returns where all runs end that do not pass, and the packet that did. That it did
// with the links that routing gives it must be among what is possible.
func eliminate(rules *dryrun.Rules, hook netfilter.Hook, d *Dropped, device string) (end dryrun.End, last netfilter.Header, ok bool) {
	tables, err := routing.Take(routing.Options{Only: []netip.Addr{d.Src.Addr(), d.Dst.Addr()}})
	if err != nil {
		return end, last, false
	}
	way, any := d.links(hook, device, tables)
	if len(any) == 0 || len(any)*len(states) > maxRuns {
		return end, last, false
	}
	found := false
	for _, l := range any {
		packet := d.dry(l.in, l.out, tables)
		for _, state := range states {
			p := packet
			p.State, p.Reply = state.state, state.reply
			e := rules.Run(hook, &p)
			switch {
			case e.Outcome == dryrun.Passed:
				continue
			case e.Outcome == dryrun.Unknown, e.Unsure, found && !sameEnd(e, end):
				return end, last, false
			}
			end, found = e, true
			if l == way {
				last, ok = headerOf(&p), true
			}
		}
	}
	return end, last, ok
}

// dry is the packet as it may be run dry.
func (d *Dropped) dry(in, out string, tables *routing.Snapshot) dryrun.Packet {
	p := dryrun.Packet{Src: d.Src.Addr(), Dst: d.Dst.Addr(), Proto: d.Event.Proto, In: in, InIndex: routing.LinkIndex(in),
		Out: out, OutIndex: routing.LinkIndex(out), MarkUnknown: true, AddrType: addrType(tables)}
	switch typ, _, icmp := d.Event.ICMP(); {
	case icmp:
		p.ICMPType = typ
	default:
		p.SrcPort, p.DstPort, p.TCPFlags = d.Src.Port(), d.Dst.Port(), d.Event.TCPFlags()
	}
	return p
}

// headerOf is the packet without the state of its connection, of which several may be possible.
func headerOf(p *dryrun.Packet) netfilter.Header {
	return netfilter.Header{Src: p.Src, Dst: p.Dst, Proto: p.Proto, SrcPort: p.SrcPort, DstPort: p.DstPort, ICMPType: p.ICMPType,
		TCPFlags: p.TCPFlags, In: p.InIndex, Out: p.OutIndex}
}

func sameEnd(a, b dryrun.End) bool {
	return a.Handle == b.Handle && slices.Equal(a.Chains, b.Chains) &&
		a.Chain.Name == b.Chain.Name && a.Chain.Table.Handle == b.Chain.Table.Handle
}

// ways are the links that a packet comes in and leaves by, "" for none.
type ways struct{ in, out string }

// links are those of a packet that was dropped at a hook and a device, as routing has it, and
// as they may have been.
func (d *Dropped) links(hook netfilter.Hook, device string, tables *routing.Snapshot) (way ways, any []ways) {
	to := func(dst, src netip.Addr, in string) string {
		w := tables.Walk(routing.Flow{Src: src, Dst: dst, Proto: d.Event.Proto, SPort: d.Src.Port(), DPort: d.Dst.Port(), IIF: in})
		return tables.Evidence(&w).Interface
	}
	src, dst := d.Src.Addr(), d.Dst.Addr()
	kind, _ := tables.AddrType(src)
	own := kind == routing.TypeLocal
	switch hook {
	case netfilter.Prerouting, netfilter.Input:
		way = ways{in: device}
		any = []ways{way}
	case netfilter.Forward:
		way = ways{device, to(dst, src, device)}
		for _, name := range routing.LinkNames() {
			any = append(any, ways{device, name})
		}
	case netfilter.Output:
		way = ways{out: to(dst, src, "")}
		for _, name := range routing.LinkNames() {
			any = append(any, ways{out: name})
		}
	case netfilter.Postrouting:
		if way = (ways{out: device}); own {
			any = []ways{way}
			break
		}
		way.in = to(src, dst, "")
		for _, name := range routing.LinkNames() {
			any = append(any, ways{name, device})
		}
	default:
		return way, nil // of a device: those are not run
	}
	if device == "" && hook != netfilter.Output {
		return way, nil
	}
	return way, any
}

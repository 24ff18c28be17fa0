package setup

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/dryrun"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/owner"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// LookAtFirewall tries this host's rules with packets that nobody sends: from a stranger to
// the server's port, from a peer to the internet, and the answer.
func (s *Server) LookAtFirewall(link string, ways Ways) (*Firewall, error) {
	rules, err := dryrun.Read()
	if err != nil {
		return nil, fmt.Errorf("look at the firewall: %w", err)
	}
	f := &Firewall{}
	for _, way := range []Way{ways.Four, ways.Six} {
		own, up := way.Addr, way.Link
		if !own.IsValid() {
			continue
		}
		there := stranger[own.Is4()]
		f.try(rules, netfilter.Input, &dryrun.Packet{Src: there, Dst: own, Proto: unix.IPPROTO_UDP, SrcPort: 40000, DstPort: s.Port,
			In: up, InIndex: routing.LinkIndex(up), State: netfilter.New}, func(by *owner.Owner, d *owner.Drop) []string {
			return owner.Open(by, d, s.Port)
		})
		for _, a := range s.Addresses {
			if a.Addr().Is4() != own.Is4() {
				continue
			}
			out := dryrun.Packet{Src: a.Addr().Next(), Dst: there, Proto: unix.IPPROTO_TCP, SrcPort: 40000, DstPort: 443, TCPFlags: 0x02,
				In: link, Out: up, OutIndex: routing.LinkIndex(up), State: netfilter.New}
			back := out.Answer()
			pass := func(by *owner.Owner, d *owner.Drop) []string { return owner.Pass(by, d, link) }
			f.try(rules, netfilter.Forward, &out, pass)
			f.try(rules, netfilter.Forward, &back, pass)
		}
	}
	return f, nil
}

// try takes a packet through a hook. What each chain that drops it wants is added.
func (f *Firewall) try(rules *dryrun.Rules, hook netfilter.Hook, p *dryrun.Packet, mend func(*owner.Owner, *owner.Drop) []string) {
	var passed []netfilter.Chain
	for range maxChains {
		again := *p
		end := rules.Run(hook, &again, passed...)
		switch end.Outcome {
		case dryrun.Passed:
			return
		case dryrun.Unknown:
			f.Unsure = true
			return
		}
		passed = append(passed, end.Chain)
		d := &owner.Drop{Family: end.Chain.Table.Family, Table: end.Chain.Table.Name, Chains: end.Chains, Hook: hook.String(),
			Packet: owner.Packet{In: p.In, Out: p.Out, Src: p.Src, Dst: p.Dst, Proto: p.Proto, DstPort: p.DstPort}}
		if end.Handle != 0 {
			d.Rule = f.rule(end)
		}
		by := owner.Of(d)
		if by != nil {
			f.Owner = by.Name
		}
		for _, line := range mend(by, d) {
			if !slices.Contains(f.Lines, line) {
				f.Lines = append(f.Lines, line)
			}
		}
	}
}

// maxChains bounds how many chains of a hook are opened.
const maxChains = 8

// rule is the text of the rule that decided, or a word in its place.
func (f *Firewall) rule(end dryrun.End) string {
	var finder netfilter.Finder
	step := netfilter.Step{Kind: netfilter.RuleStep, Chain: end.Chains[len(end.Chains)-1], Handle: end.Handle}
	r, err := finder.Rule(end.Chain, step)
	if err != nil || r.Text == "" {
		return "drop"
	}
	return r.Text
}

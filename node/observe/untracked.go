//go:build linux

package observe

import (
	"regexp"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Untracked says that connection tracking does not know the packet, so that nothing of its
// connection is applied to it, translations above all; nil if it does, or if the kernel does
// not tell (before Linux 6.17) and no rule has excluded it.
func (p *Packet) Untracked(services Ports) *evidence.Untracked {
	u := new(evidence.Untracked)
	if ct := p.Last.Conntrack; ct.Known && (ct.State == netfilter.Untracked || ct.State == netfilter.Invalid) {
		u.State = ct.State.String()
	} else if ct.Known && ct.State != 0 {
		return nil
	}
	for i := range p.Visits {
		for _, step := range p.Visits[i].Steps {
			if step.Kind != netfilter.RuleStep || u.State == netfilter.Invalid.String() {
				continue
			}
			if rule := p.rule(p.Visits[i].Chain, step); notrack.MatchString(rule.Text) {
				u.State, u.By, u.Spare = netfilter.Untracked.String(), rule.String(), accept(rule, p.at(i), services)
			}
		}
	}
	if u.State == "" {
		return nil
	}
	return u
}

var notrack = regexp.MustCompile(`\bnotrack\b|-j NOTRACK\b`)

//go:build linux

package observe

import (
	"regexp"
	"strconv"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Lowered says by which rule of this host the packet got a TTL that is less than it had; nil
// if none did. Where the packet is seen no more the rule's own words tell: its last headers
// are those before that.
func (p *Packet) Lowered(services Ports) *evidence.Lowered {
	lost := p.Fate().Outcome == netfilter.Lost
	if !lost && p.Last.TTL >= p.First.TTL-1 || p.First.TTL == 0 {
		return nil // forwarding takes one
	}
	var found *evidence.Lowered
	ttl := p.First.TTL
	for i := range p.Visits {
		v := &p.Visits[i]
		set := false
		for _, step := range v.Steps {
			if step.Kind != netfilter.RuleStep {
				continue
			}
			rule := p.rule(v.Chain, step)
			to, ok := setsTTL(rule.Text, ttl)
			if !ok {
				continue
			}
			if found = nil; to < ttl {
				found = &evidence.Lowered{From: int(p.First.TTL), To: int(to), By: rule.String(), Spare: accept(rule, p.at(i), services)}
			}
			ttl, set = to, true
		}
		if !set && v.Header.TTL != 0 { // else the headers may be those behind the first rule
			ttl = v.Header.TTL
		}
	}
	if found == nil && p.Last.TTL < p.First.TTL-1 && p.Last.TTL != 0 {
		return &evidence.Lowered{From: int(p.First.TTL), To: int(p.Last.TTL)}
	}
	return found
}

var (
	ttlSet = regexp.MustCompile(`\b(?:ip ttl|ip6 hoplimit) set (\d+)|--(?:ttl|hl)-set (\d+)`)
	ttlDec = regexp.MustCompile(`--(?:ttl|hl)-dec (\d+)`)
)

// setsTTL returns the TTL that a rule gives a packet that has the TTL was.
func setsTTL(rule string, was uint8) (ttl uint8, ok bool) {
	if m := ttlSet.FindStringSubmatch(rule); m != nil {
		n, err := strconv.ParseUint(m[1]+m[2], 10, 8)
		return uint8(n), err == nil
	}
	if m := ttlDec.FindStringSubmatch(rule); m != nil {
		n, err := strconv.ParseUint(m[1], 10, 8)
		return was - min(was, uint8(n)), err == nil
	}
	return 0, false
}

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

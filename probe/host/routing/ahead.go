//go:build linux

package routing

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/evidence"
)

// ahead returns rules for the walk's destination alone which would be asked before the one
// that decided, and lead elsewhere. A table that is not main, and the rule that leads there,
// belong to some program, which has other traffic go by them: a rule ahead of them leaves that
// alone. Each was tried on this snapshot.
func (s *Snapshot) ahead(w *Walk) []evidence.RuleAhead {
	d := &w.Decision
	if d.Rule == nil || d.Rule.Priority == 0 || d.Table == Main || d.Table == Local || d.Table == Default {
		return nil
	}
	var found []evidence.RuleAhead
	for _, t := range s.others(d) {
		r := Rule{IPv6: d.Rule.IPv6, Priority: d.Rule.Priority - 1, To: netip.PrefixFrom(w.Flow.Dst, w.Flow.Dst.BitLen()), UIDs: everyUID,
			Action: actionTable, Table: t, SuppressPrefix: -1, SuppressGroup: -1, sportMask: 0xffff, dportMask: 0xffff, dscpMask: 0x3f}
		with := s.planned(r).Walk(w.Flow)
		link := with.Decision.OutLink()
		if with.Decision.Rule == nil || *with.Decision.Rule != r || with.Doubt != "" || with.Decision.Type != TypeUnicast ||
			link == "" || link == d.OutLink() {
			continue
		}
		found = append(found, evidence.RuleAhead{Interface: link, Command: r.add()})
	}
	return found
}

// others are the tables that rules lead into, but for the one that decided: main is first.
func (s *Snapshot) others(d *Decision) []Table {
	tables := []Table{Main}
	for _, r := range s.rules(d.Rule.IPv6) {
		if r.Action == actionTable && !r.L3Mdev && r.Table != d.Table && r.Table != Local && r.Table != Default &&
			!slices.Contains(tables, r.Table) {
			tables = append(tables, r.Table)
		}
	}
	return tables
}

// planned is the snapshot as it would be with one rule more, which goes after those of its
// priority.
func (s *Snapshot) planned(r Rule) *Snapshot {
	rules := s.rules(r.IPv6)
	at := slices.IndexFunc(rules, func(o Rule) bool { return o.Priority > r.Priority })
	if at < 0 {
		at = len(rules)
	}
	p := *s
	if rules = slices.Insert(slices.Clone(rules), at, r); r.IPv6 {
		p.Rules6 = rules
	} else {
		p.Rules4 = rules
	}
	return &p
}

// add is the command that would add the rule.
func (r *Rule) add() string {
	return ipCommand(r.IPv6) + " rule add pref " + itoa(r.Priority) + " " + strings.TrimPrefix(r.spec(), "from all ")
}

package plan

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
)

// What a default route needs besides. It does not go with the link.

var ruleOperation = operation{
	command:     func(s Step) string { return fmt.Sprintf("ip %s rule add %s", family(s.Prefix), s.rule()) },
	undoCommand: func(s Step) string { return fmt.Sprintf("ip %s rule delete %s", family(s.Prefix), s.rule()) },
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.AddRule(s.rule())
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteRule(s.rule()) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		there, err := p.HasRule(s.rule())
		return unless(there, err, fmt.Sprintf("rule %s %s", family(s.Prefix), s.rule()))
	},
	stays: always,
	left:  "routing rules",
}

// The firewall's table is known by the link's name alone, so it is taken for
// that of the link that has the name now.
var firewallOperation = operation{
	command: func(Step) string { return "nft -f /dev/fd/63" },
	undoCommand: func(s Step) string {
		t := s.firewall()
		return fmt.Sprintf("nft delete table %s %s", t.Family(), t.Name())
	},
	do: func(_ context.Context, r *Runner, s Step, l *link.Link) error {
		return r.Kernel.AddFirewall(*l, s.firewall())
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteFirewall(s.firewall()) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		return p.FirewallDiffers(s.firewall())
	},
	stays:    func(_ Step, w whatIs) bool { return !w.taken },
	left:     leftFirewall,
	replaces: true,
	follows:  OpAddress, // its rules protect them
}

// rule is what an OpMarked or OpSuppress step adds.
func (s Step) rule() rule.Rule {
	if s.Op == OpSuppress {
		return rule.Suppress(s.Prefix.Addr().Is6(), s.Priority)
	}
	return rule.Marked(s.Prefix.Addr().Is6(), s.Priority, s.Mark, s.Table)
}

// firewall is what an OpFirewall step adds, but for the addresses: those of the
// link are known once it is up.
func (s Step) firewall() nftables.Table {
	return nftables.Table{Link: s.Link, IPv6: s.Prefix.Addr().Is6(), Mark: s.Mark}
}

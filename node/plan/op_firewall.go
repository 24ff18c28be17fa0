package plan

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/link"
)

// The tables of the firewall that are wgnode's by their names. Neither goes with
// the link, and nobody else's table has such a name.

var killSwitchOperation = operation{
	command: func(Step) string { return "nft -f /dev/fd/63" },
	undoCommand: func(s Step) string {
		return "nft delete table inet " + nftables.KillSwitch{Link: s.Link}.Name()
	},
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.AddKillSwitch(*s.KillSwitch)
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteKillSwitch(s.Link) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		return p.KillSwitchDiffers(s.Link)
	},
	stays:    always,
	left:     LeftKillSwitch,
	replaces: true,
}

var gatewayOperation = operation{
	command: func(Step) string { return "nft -f /dev/fd/63" },
	undoCommand: func(s Step) string {
		return "nft delete table inet " + nftables.Gateway{Link: s.Link}.Name()
	},
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.AddGateway(*s.Gateway)
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteGateway(s.Link) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		return p.GatewayDiffers(s.Link)
	},
	stays:    always,
	left:     leftFirewall,
	replaces: true,
}

// A throw route leads to no link, so it goes with none.
var throwOperation = operation{
	command: func(s Step) string {
		return fmt.Sprintf("ip %s route add throw %s%s", family(s.Prefix), s.Prefix, s.inTable())
	},
	undoCommand: func(s Step) string {
		return fmt.Sprintf("ip %s route delete throw %s%s", family(s.Prefix), s.Prefix, s.inTable())
	},
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.AddThrow(s.Prefix, s.Table)
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteThrow(s.Prefix, s.Table) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		there, err := p.HasThrow(s.Prefix, s.Table)
		return unless(there, err, fmt.Sprintf("route throw %s%s", s.Prefix, s.inTable()))
	},
	restore: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.ReplaceThrow(s.Prefix, s.Table)
	},
	stays:    always,
	left:     "routes",
	together: true,
}

// TableName returns the name of the firewall's table that the step adds, as in
// "inet filter"; "" for other steps.
func (s Step) TableName() string {
	switch s.Op {
	case OpKillSwitch:
		return "inet " + nftables.KillSwitch{Link: s.Link}.Name()
	case OpGateway:
		return "inet " + nftables.Gateway{Link: s.Link}.Name()
	case OpFirewall:
		t := s.firewall()
		return t.Family() + " " + t.Name()
	}
	return ""
}

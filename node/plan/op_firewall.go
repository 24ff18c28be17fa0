package plan

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/nftables"
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
	undo:     func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteKillSwitch(s.Link) },
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
	undo:     func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteGateway(s.Link) },
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
	undo:     func(r *Runner, s Step, _ link.Link) error { return r.Kernel.DeleteThrow(s.Prefix, s.Table) },
	stays:    always,
	left:     "routes",
	together: true,
}

package plan

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/node/link"
)

// What is done to the link itself, and goes with it.

var linkOperation = operation{
	command:     func(s Step) string { return fmt.Sprintf("ip link add dev %s type wireguard", s.Link) },
	undoCommand: func(s Step) string { return fmt.Sprintf("ip link delete dev %s", s.Link) },
	do: func(ctx context.Context, r *Runner, s Step, l *link.Link) error {
		if err := r.Device.Create(ctx, s.Link); err != nil {
			return err
		}
		created, err := r.Kernel.Link(s.Link)
		if err != nil {
			return err
		}
		*l = created
		return nil
	},
	undo: func(r *Runner, _ Step, l link.Link) error { return r.Kernel.DeleteLink(l) },
}

var configureOperation = operation{
	command: func(s Step) string { return fmt.Sprintf("wg setconf %s /dev/fd/63", s.Link) },
	do: func(ctx context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Device.Configure(ctx, s.Mark)
	},
}

var addressOperation = operation{
	command: func(s Step) string {
		return fmt.Sprintf("ip %s address add %s dev %s", family(s.Prefix), s.Prefix, s.Link)
	},
	undoCommand: func(s Step) string {
		return fmt.Sprintf("ip %s address delete %s dev %s", family(s.Prefix), s.Prefix, s.Link)
	},
	do: func(_ context.Context, r *Runner, s Step, l *link.Link) error {
		return r.Kernel.AddAddress(*l, s.Prefix)
	},
	undo:     func(r *Runner, s Step, l link.Link) error { return r.Kernel.DeleteAddress(l, s.Prefix) },
	together: true,
}

var upOperation = operation{
	command:  func(s Step) string { return fmt.Sprintf("ip link set mtu %d up dev %s", s.MTU, s.Link) },
	do:       func(_ context.Context, r *Runner, s Step, l *link.Link) error { return r.Kernel.SetUp(*l, s.MTU) },
	replaces: true,
}

var routeOperation = operation{
	command: func(s Step) string {
		return fmt.Sprintf("ip %s route add %s dev %s%s", family(s.Prefix), s.Prefix, s.Link, s.inTable())
	},
	undoCommand: func(s Step) string {
		return fmt.Sprintf("ip %s route delete %s dev %s%s", family(s.Prefix), s.Prefix, s.Link, s.inTable())
	},
	do: func(_ context.Context, r *Runner, s Step, l *link.Link) error {
		return r.Kernel.AddRoute(*l, s.Prefix, s.Table)
	},
	undo:     func(r *Runner, s Step, l link.Link) error { return r.Kernel.DeleteRoute(l, s.Prefix, s.Table) },
	together: true,
}

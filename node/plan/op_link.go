package plan

import (
	"context"
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/node/link"
)

// What is done to the link itself, and goes with it.

// ErrLinkGone is wrapped by the error of a step that finds the link removed, or
// another one in its place.
var ErrLinkGone = errors.New("the interface is gone: something has removed it since it was made")

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
	// A node whose link is gone ends, and takes note of nothing more.
	differs: neverDiffers,
}

var configureOperation = operation{
	command: func(s Step) string { return fmt.Sprintf("wg addconf %s /dev/fd/63", s.Link) },
	do: func(ctx context.Context, r *Runner, s Step, l *link.Link) error {
		// A device whose link is gone refuses with a number that says nothing.
		switch now, err := r.Kernel.Link(s.Link); {
		case errors.Is(err, link.ErrNotFound) || err == nil && now.Index != l.Index:
			return fmt.Errorf("configure %s: %w", s.Link, ErrLinkGone)
		case err != nil:
			return err
		}
		return r.Device.Configure(ctx, s.Mark)
	},
	// What wg(8) and hooks change of a device is theirs.
	differs: neverDiffers,
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
	undo: func(r *Runner, s Step, l link.Link) error { return r.Kernel.DeleteAddress(l, s.Prefix) },
	differs: func(_ context.Context, p Present, s Step, l link.Link) ([]string, error) {
		there, err := p.HasAddress(l, s.Prefix)
		return unless(there, err, fmt.Sprintf("address %s dev %s", s.Prefix, s.Link))
	},
	together: true,
}

var upOperation = operation{
	command:  func(s Step) string { return fmt.Sprintf("ip link set mtu %d up dev %s", s.MTU, s.Link) },
	do:       func(_ context.Context, r *Runner, s Step, l *link.Link) error { return r.Kernel.SetUp(*l, s.MTU) },
	differs:  linkDiffers,
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
	undo: func(r *Runner, s Step, l link.Link) error { return r.Kernel.DeleteRoute(l, s.Prefix, s.Table) },
	differs: func(_ context.Context, p Present, s Step, l link.Link) ([]string, error) {
		there, err := p.HasRoute(l, s.Prefix, s.Table)
		return unless(there, err, fmt.Sprintf("route %s dev %s%s", s.Prefix, s.Link, s.inTable()))
	},
	restore: func(_ context.Context, r *Runner, s Step, l *link.Link) error {
		return r.Kernel.ReplaceRoute(*l, s.Prefix, s.Table)
	},
	together: true,
}

func linkDiffers(_ context.Context, p Present, s Step, _ link.Link) (what []string, err error) {
	l, err := p.Link(s.Link)
	if err != nil {
		return nil, err
	}
	if !l.Up {
		what = append(what, fmt.Sprintf("link %s is down", s.Link))
	}
	if l.MTU != s.MTU {
		what = append(what, fmt.Sprintf("link %s has MTU %d instead of %d", s.Link, l.MTU, s.MTU))
	}
	return what, nil
}

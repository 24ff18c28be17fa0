package plan

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
)

var dnsOperation = operation{
	command:     func(s Step) string { return s.DNS.Command() },
	undoCommand: func(s Step) string { return s.DNS.UndoCommand() },
	do: func(ctx context.Context, r *Runner, s Step, l *link.Link) error {
		return r.Kernel.SetDNS(ctx, *l, *s.DNS)
	},
	undo: func(r *Runner, s Step, l link.Link) error { return r.Kernel.ResetDNS(l, *s.DNS) },
	differs: func(ctx context.Context, p Present, s Step, l link.Link) ([]string, error) {
		what, err := p.DNSDiffers(ctx, l, *s.DNS)
		if err != nil || what == "" {
			return nil, err
		}
		return []string{what}, nil
	},
	// systemd-resolved forgets a link's servers with the link; resolvconf knows
	// them by the link's name, so they are those of the link that has it now;
	// the file stays whatever becomes of the link.
	stays: func(s Step, w whatIs) bool {
		switch s.DNS.Kind {
		case resolver.Resolved:
			return w.ours
		case resolver.Resolvconf:
			return !w.taken
		}
		return true
	},
	left:     "name servers",
	replaces: true,
}

// dns has names resolved by the servers of the configuration. Search domains
// alone do nothing, as with wg-quick; and as there, the servers are asked for
// all names, whatever the routes are.
func (b *builder) dns() error {
	i := &b.cfg.Interface
	if len(i.DNS) == 0 {
		return nil
	}
	c, err := b.host.Resolver.Change(resolver.Settings{
		Link: b.cfg.Name, Servers: i.DNS, Search: i.Search, AllNames: true,
	})
	if err != nil {
		return err
	}
	s := Step{Op: OpDNS, DNS: &c, Note: c.Note()}
	if c.Kind == resolver.Off {
		s.Skip = "resolver is off: " + b.host.Resolver.Why
	} else {
		s.Why = fmt.Sprintf("the tunnel's name servers are asked for all names, and no others; set by %s: %s", c.Kind.Name(), b.host.Resolver.Why)
	}
	b.add(s)
	return nil
}

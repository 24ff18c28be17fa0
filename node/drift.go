package node

import (
	"context"
	"errors"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/tunnel/netchange"
)

// driftTask says in the log when others have changed what the node set on this
// host. It changes nothing: a route that somebody has deleted may be gone on
// purpose. Kernel parameters are looked at along with the rest, as the kernel
// announces nothing of them. On a router with a million routes a look takes
// seconds, so it pauses for longer than others do.
type driftTask struct{ n *Node }

func (driftTask) String() string { return "watch what was set" }

// Run serves until ctx ends. A system that does not let itself be watched is no
// reason to end the node.
func (t driftTask) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	w, err := t.watch(func() {
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	})
	if err != nil {
		t.n.opt.Logger.Error("cannot watch for changes by other programs", "interface", t.n.name, "error", err)
		<-ctx.Done()
		return nil
	}
	defer w.Close() // nothing was written
	for {
		start := time.Now()
		t.look(ctx)
		burst.Pause(ctx, min(burst.Pauses*time.Since(start), time.Minute))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			burst.Settled(changed)
		}
	}
}

func (t driftTask) look(ctx context.Context) {
	log := t.n.opt.Logger.With("interface", t.n.name)
	changes, err := t.n.applied.look(ctx, t.n.runner.Kernel)
	if err != nil && ctx.Err() == nil {
		log.Debug("what was set is not compared", "error", err) // the interface may be on its way out
	}
	for _, c := range changes {
		if c.fresh && !protects(c.Step) { // which is guard.Tables's business
			log.Warn("another program changed what was set", "what", c.What, "by", t.n.suspect(c.Step),
				"fix", "wgnode reload "+t.n.name)
		}
	}
}

// watch has changed called whenever the network changes, or a table of the node.
func (t driftTask) watch(changed func()) (watchers, error) {
	net, err := netchange.Watch(changed)
	if err != nil {
		return nil, err
	}
	tables, err := nftables.Watch(func(c nftables.Change) {
		if c.Table == "" || t.n.tables.Keeps(c.Table) {
			changed()
		}
	})
	if err != nil {
		return nil, errors.Join(err, net.Close())
	}
	return watchers{net, tables}, nil
}

type watchers []interface{ Close() error }

func (w watchers) Close() error {
	var errs []error
	for _, each := range w {
		errs = append(errs, each.Close())
	}
	return errors.Join(errs...)
}

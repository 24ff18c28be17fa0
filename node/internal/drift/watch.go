package drift

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/tunnel/netchange"
)

// Watch says in the log when others have changed what the node set on this
// host. It changes nothing: a route that somebody has deleted may be gone on
// purpose. Kernel parameters are looked at along with the rest, as the kernel
// announces nothing of them. On a router with a million routes a look takes
// seconds, so it pauses for longer than others do.
type Watch struct {
	Applied *Applied
	Kernel  plan.Kernel
	Tables  *nftables.Keeper
	Culprit Culprit
	Link    string
	Log     *slog.Logger
}

func (Watch) String() string { return "watch what was set" }

// Run serves until ctx ends. A system that does not let itself be watched is no
// reason to end the node.
func (t Watch) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	w, err := t.watch(func() {
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	})
	if err != nil {
		t.Log.Error("cannot watch for changes by other programs", "error", err)
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

func (t Watch) look(ctx context.Context) {
	changes, err := t.Applied.look(ctx, t.Kernel)
	if err != nil && ctx.Err() == nil {
		t.Log.Debug("what was set is not compared", "error", err) // the interface may be on its way out
	}
	for _, c := range changes {
		if c.fresh && !protects(c.Step) { // which is guard.Tables's business
			t.Log.Warn("another program changed what was set", "what", c.What, "by", suspect(c.Step, t.Culprit),
				"fix", "wgnode reload "+t.Link)
		}
	}
}

// watch has changed called whenever the network changes, or a table of the node.
func (t Watch) watch(changed func()) (watchers, error) {
	net, err := netchange.Watch(changed)
	if err != nil {
		return nil, err
	}
	tables, err := nftables.Watch(func(c nftables.Change) {
		if c.Table == "" || t.Tables.Keeps(c.Table) {
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

package guard

import (
	"context"
	"log/slog"
	"slices"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/plan"
)

// LAN keeps a kill switch open to the LAN when the host comes into another
// network. If the node dies the networks stay that it was in last, each by its
// own interface only.
type LAN struct {
	Link     string
	Have     nftables.KillSwitch // that is set
	Tables   *nftables.Keeper
	Guardian *Guardian
	Log      *slog.Logger
}

func (*LAN) String() string { return "watch the LAN" }

// Run serves until ctx ends. A system that does not let its network be watched
// is no reason to end the node.
func (l *LAN) Run(ctx context.Context) error {
	w, changed, err := burst.Network()
	if err != nil {
		l.Log.Error("the kill switch keeps the LAN that it has", "error", err)
		<-ctx.Done()
		return nil
	}
	defer w.Close() // nothing was written
	l.refresh()     // of what has changed before
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			burst.Settled(changed)
			l.refresh()
		}
	}
}

// refresh changes the table if the networks have changed. What fails is not worth
// the tunnel: the table stays as it was.
func (l *LAN) refresh() {
	now, err := plan.LAN(l.Link)
	if err != nil {
		l.Log.Error("kill switch LAN not updated", "error", err)
		return
	}
	if slices.Equal(now, l.Have.LAN) {
		return
	}
	changed := l.Have
	changed.LAN = now
	if err := l.Tables.AddKillSwitch(changed); err != nil {
		l.Log.Error("kill switch LAN not updated", "error", err)
		return
	}
	l.Log.Info("kill switch LAN updated", "was", l.Have.LAN, "is", now)
	l.Have = changed
	l.Guardian.tell(message{KillSwitch: changed, Up: true})
}

// KillSwitchOf returns the kill switch that steps set, nil if there is none.
func KillSwitchOf(steps []plan.Step) *nftables.KillSwitch {
	for _, s := range steps {
		if s.Op == plan.OpKillSwitch {
			return s.KillSwitch
		}
	}
	return nil
}

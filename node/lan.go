package node

import (
	"context"
	"slices"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/plan"
)

// lanTask keeps a kill switch open to the LAN when the host comes into another
// network. If the node dies the networks stay that it was in last, each by its
// own interface only.
type lanTask struct {
	n    *Node
	have nftables.KillSwitch
}

func (*lanTask) String() string { return "watch the LAN" }

// Run serves until ctx ends. A system that does not let its network be watched
// is no reason to end the node.
func (l *lanTask) Run(ctx context.Context) error {
	w, changed, err := burst.Network()
	if err != nil {
		l.n.opt.Logger.Error("the kill switch keeps the LAN that it has", "interface", l.n.name, "error", err)
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
func (l *lanTask) refresh() {
	log := l.n.opt.Logger.With("interface", l.n.name)
	now, err := plan.LAN(l.n.name)
	if err != nil {
		log.Error("kill switch LAN not updated", "error", err)
		return
	}
	if slices.Equal(now, l.have.LAN) {
		return
	}
	changed := l.have
	changed.LAN = now
	if err := l.n.tables.AddKillSwitch(changed); err != nil {
		log.Error("kill switch LAN not updated", "error", err)
		return
	}
	log.Info("kill switch LAN updated", "was", l.have.LAN, "is", now)
	l.have = changed
	l.n.guardian.tell(guardianMessage{KillSwitch: changed, Up: true})
}

// killSwitchOf returns the kill switch that steps set, nil if there is none.
func killSwitchOf(steps []plan.Step) *nftables.KillSwitch {
	for _, s := range steps {
		if s.Op == plan.OpKillSwitch {
			return s.KillSwitch
		}
	}
	return nil
}

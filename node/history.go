package node

import (
	"context"
	"fmt"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// openHistory begins to keep the states of peers over days. A host that has no place for that, such
// as a container whose files are read-only, does without. They are noted in any case if they are sent.
func (n *Node) openHistory() {
	sender := n.telemetry.sender
	if n.opt.HistoryDir != "" {
		book, err := history.Create(n.opt.HistoryDir, n.name, time.Now())
		if err != nil {
			n.opt.Logger.Info("no history of peers is kept", "interface", n.name, "error", err)
		}
		n.book = book
	}
	if n.book == nil && sender != nil && sender.wanted(&n.Config().Telemetry) {
		n.book = history.Unwritten()
	}
	if n.book != nil && sender != nil {
		n.book.Tell = sender.state
	}
}

// closeHistory ends it. That a disk is full keeps nothing else from being undone.
func (n *Node) closeHistory() {
	if n.book == nil {
		return
	}
	if err := n.book.Close(time.Now()); err != nil {
		n.opt.Logger.Error("the history has no end", "interface", n.name, "error", err)
	}
}

// historyTask writes the history. It never ends the node.
type historyTask struct{ n *Node }

func (historyTask) String() string { return "keep the history" }

func (t historyTask) Run(ctx context.Context) error {
	n := t.n
	// Its own: who asks for what is true now shall not get what the history has seen a moment ago.
	keeper := explain.NewKeeper(n.Subject, func(context.Context) {})
	defer keeper.Close()
	history.Keep(ctx, n.book, history.Watched{
		Interface: n.name,
		Await: func(ctx context.Context, seen uint64) (uint64, error) {
			return n.tun.Recorder().Await(ctx, probe.LaneControl, seen)
		},
		Peers: func(ctx context.Context) ([]diagnose.PeerReport, error) { return n.judged(ctx, keeper) },
		Log:   n.opt.Logger,
	})
	return nil
}

// judged are the verdicts on the peers of the configuration.
func (n *Node) judged(ctx context.Context, keeper *explain.Keeper) ([]diagnose.PeerReport, error) {
	kept, err := keeper.Now(ctx)
	if err != nil {
		return nil, err
	}
	peers := make([]diagnose.PeerReport, 0, len(kept.Peers))
	for i := range kept.Peers {
		p := &kept.Peers[i].PeerReport
		k, err := key.ParsePublic(p.Peer)
		if err != nil {
			return nil, fmt.Errorf("verdict on peer %q: %w", p.Peer, err)
		}
		if _, configured := n.tun.StateOf(k); configured {
			peers = append(peers, *p)
		}
	}
	return peers, nil
}

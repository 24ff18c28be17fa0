package node

import (
	"context"
	"fmt"
	"io"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/netwatch"
	"github.com/wgnode/wgnode/node/internal/task"
)

// adaptTask runs the tasks that depend on the configuration, and begins them
// anew when that has changed. What they use they have to themselves: it changes
// only while none of them runs.
type adaptTask struct{ n *Node }

func (adaptTask) String() string { return "adapt" }

// reloadRequest asks for a change of the configuration.
type reloadRequest struct {
	ctx context.Context
	cfg *config.Config
	out io.Writer
	// check has it said what would change, and nothing changed.
	check bool
	done  chan error // of capacity 1
}

func (a adaptTask) Run(ctx context.Context) error {
	for {
		round, stop := context.WithCancel(ctx)
		ran := make(chan error, 1)
		go func() { ran <- task.Run(round, a.tasks()) }()
		select {
		case err := <-ran:
			stop()
			return err // the end of ctx, if it is nil
		case req := <-a.n.reloads:
			stop()
			if err := <-ran; err != nil {
				req.done <- fmt.Errorf("reload %s: %w", a.n.name, err)
				return err
			}
			req.done <- a.n.reload(req)
		}
	}
}

func (a adaptTask) tasks() []task.Task {
	follower := a.n.follower()
	return append([]task.Task{follower}, a.n.mode.configTasks(a.n, follower)...)
}

// watchNetwork follows the network of this host.
func (n *Node) watchNetwork(f *endpoint.Follower) task.Task {
	return &netwatch.Watch{Link: n.name, Tunnel: n.tun, Config: n.Config, Mark: n.mark, Follower: f, MTU: &n.mtu, Last: n.began,
		Log: n.log()}
}

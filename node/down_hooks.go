package node

import (
	"context"
	"errors"

	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/save"
	"github.com/wgnode/wgnode/node/teardown"
)

// ownsHooks reports whether the hooks of going down are this node's to run.
func (n *Node) ownsHooks() bool {
	if !n.mode.traits().hooks || n.journal == nil || !n.journal.WasUp() {
		return false
	}
	select {
	case <-n.released:
		return false
	default:
		return true
	}
}

// runHooks runs all hooks of a phase that belongs to going down, also those
// after one that has failed: going down goes on too.
func (n *Node) runHooks(ctx context.Context, phase hook.Phase) error {
	return teardown.RunHooks(ctx, n.Config(), phase, n.opt.Shell, n.opt.Out, false)
}

// prepareDown does what comes before an interface goes down.
func (n *Node) prepareDown(ctx context.Context) error {
	if !n.ownsHooks() {
		return nil
	}
	err := n.runHooks(ctx, hook.PreDown)
	if n.Config().Interface.SaveConfig {
		err = errors.Join(err, n.save())
	}
	return err
}

// save writes what the node does at present into its configuration's file.
func (n *Node) save() error {
	status := n.Status()
	return save.ByNode(n.Config(), n.opt.RunDir, &status)
}

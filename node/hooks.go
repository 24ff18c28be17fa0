package node

import (
	"context"
	"errors"
	"io"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
)

// ownsHooks reports whether the hooks of going down are this node's to run.
func (n *Node) ownsHooks() bool {
	if n.net != nil || n.journal == nil || !n.journal.WasUp() {
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
	return runHooks(ctx, n.Config(), phase, n.opt.Shell, n.opt.Out, false)
}

// runHooks runs the hooks of one phase, each after a line that shows it. With
// strict the first that fails is the last.
func runHooks(ctx context.Context, cfg *config.Config, phase hook.Phase, shell hook.Shell, out io.Writer, strict bool) error {
	shell.Config = cfg.Path
	var errs []error
	for i, c := range plan.Hooks(cfg, phase) {
		c = hook.Expand(c, cfg.Name)
		say(out, "[#] %s", c)
		if err := shell.Run(ctx, phase, cfg.Name, c); err != nil {
			errs = append(errs, hook.At(cfg.HookPlace(string(phase), i), err))
			if strict {
				break
			}
		}
	}
	return errors.Join(errs...)
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

// hooksOf returns the configuration whose hooks are due for what a journal
// tells of, nil if none are. It says so if the file is not there to tell.
func hooksOf(j *plan.Journal, out io.Writer) *config.Config {
	if j.Config == "" || !j.WasUp() {
		return nil
	}
	owners := safefile.Mine()
	for _, uid := range j.Owners {
		owners = owners.And(int(uid))
	}
	cfg, err := config.ReadTrusting(j.Config, owners) // hooks need no keys
	if err != nil {
		say(out, "[!] skipped: the PreDown and PostDown hooks of %s: %v", j.Link, err)
		return nil
	}
	cfg.Name = j.Link
	return cfg
}

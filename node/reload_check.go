package node

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/plan"
)

// reloadFile is ReloadFile; with check it says what that would do, in the same lines, and
// changes nothing. It reports whether anything has changed, or would, be it only what counts
// when the node goes down, or comes up again.
func (n *Node) reloadFile(ctx context.Context, path string, out io.Writer, check bool) (changes bool, err error) {
	if path == "" {
		path = n.Config().Path
	}
	if path == "" {
		return false, fmt.Errorf("reload %s: it was not started with a file", n.name)
	}
	cfg, err := config.Load(path)
	if err != nil {
		return false, err
	}
	was := n.Config()
	done := &doneLines{to: out}
	err = n.reloadWith(reloadRequest{ctx: ctx, cfg: cfg, out: done, check: check})
	return err == nil && (done.any || was.Path != cfg.Path || !was.Same(cfg)), err
}

// doneLines passes lines on, and notes whether one of them is about something that is done.
type doneLines struct {
	to  io.Writer
	any bool
}

func (d *doneLines) Write(b []byte) (int, error) {
	d.any = d.any || bytes.HasPrefix(b, []byte("[#] "))
	return d.to.Write(b)
}

// pending is host for a check: what the host and the device would become.
func (r *reload) pending(ctx context.Context, steps []plan.Step) error {
	runner := r.n.runner
	runner.Device, runner.Out = r, r.out
	return runner.Pending(ctx, steps, r.n.journal)
}

package running

import (
	"errors"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/rundir"
)

// Client returns a client for a tunnel, as [Dial] and [kernelnode.Dial] do. A device of the kernel's is
// watched as for [Host.Overview], and no second time.
func (h *Host) Client(name string) (*control.Client, error) {
	c, err := Dial(name)
	if !errors.Is(err, rundir.ErrNotRunning) || !kernelnode.IsDevice(name) {
		return c, err
	}
	d, err := h.watch(name)
	if err != nil {
		return nil, err
	}
	return d.client, nil
}

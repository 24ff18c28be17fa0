package running

import (
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/rundir"
)

// Dial returns a client for the node of that name in this user's run folder, see [rundir.Dial].
func Dial(name string) (*control.Client, error) { return rundir.Dial(rundir.Default(), name) }

package daemon

import (
	"errors"
	"os"
	"runtime/debug"

	"github.com/wgnode/wgnode/node/inherit"
)

// gcPercent is how much a node's heap grows before garbage is collected, unless GOGC
// says otherwise. What lives is few large buffers without pointers, which are marked in
// no time; but what a removed peer leaves (two queues with finalizers, and the packets
// in them) survives one collection. With Go's 100 a node whose peers come and go all
// the time therefore settles at twice the memory, and is no faster.
const gcPercent = 50

// PrepareProcess makes this process one that holds a node.
func PrepareProcess() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return errors.Join(inherit.OnlyStandard(), keepSecrets())
}

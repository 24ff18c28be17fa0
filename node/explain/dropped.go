package explain

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// Dropped is a packet that the kernel has dropped, as it is recorded.
type Dropped struct {
	Event probe.Event
	recording.Drop
}

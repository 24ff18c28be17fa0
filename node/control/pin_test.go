package control

import (
	"testing"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe/pin"
)

// What goes over the control socket. The reports of explain, doctor and trace are not here:
// docs/schema describes them.
func TestWritten(t *testing.T) {
	pin.Check(t, "testdata/written.txt",
		new(Status), new(PeerName), new(ReloadRequest), new(ReloadAnswer), new(ConnectRequest), new(errorAnswer),
		new(explain.Request), new(explain.DoctorRequest), new(trace.Request), new(watchHead), new(watchPeer))
}

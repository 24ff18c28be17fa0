package node

import (
	"testing"

	"github.com/wgnode/wgnode/probe/pin"
)

// What goes to who asks for health, and to the guardian. What goes over the control socket
// package control holds.
func TestWritten(t *testing.T) {
	pin.Check(t, "testdata/written.txt", new(guardianMessage))
}

package guard

import (
	"testing"

	"github.com/wgnode/wgnode/probe/pin"
)

// What goes to the guardian.
func TestWritten(t *testing.T) {
	pin.Check(t, "testdata/written.txt", new(message))
}

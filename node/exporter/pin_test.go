package exporter

import (
	"testing"

	"github.com/wgnode/wgnode/probe/pin"
)

// What goes to who asks for health.
func TestWritten(t *testing.T) {
	pin.Check(t, "testdata/written.txt", new(Health), new(Readiness))
}

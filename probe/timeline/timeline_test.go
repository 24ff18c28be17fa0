package timeline

import (
	"testing"

	"github.com/wgnode/wgnode/probe/pin"
)

func TestWritten(t *testing.T) { pin.Check(t, "testdata/written.txt", new(Line)) }

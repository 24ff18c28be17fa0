//go:build linux && bench

package compare_test

import (
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/compare"
)

// TestTelemetryCost is no test but a measurement: what passes while both ends trace 1% of flows, against
// what passes while they do not.
func TestTelemetryCost(t *testing.T) {
	report, spans := compare.RunTelemetry(t, lab.Wgnode(t), *rounds, *seconds)
	if err := report.WriteTable(os.Stdout); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d spans came", spans)
}

//go:build linux && bench

package compare_test

import (
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/compare"
)

// TestDropsCost is no test but a measurement: what passes while `wgnode drops` looks, also in
// a flood of dropped packets, against what passes while nobody does.
func TestDropsCost(t *testing.T) {
	report, floods := compare.RunDrops(t, lab.Wgnode(t), *rounds, *seconds)
	if err := report.WriteTable(os.Stdout); err != nil {
		t.Fatal(err)
	}
	for _, f := range floods {
		if !f.Watched {
			t.Logf("to %s: %d packets, %.0f a second; nobody looks", f.To, f.Sent, float64(f.Sent)/f.Seconds)
			continue
		}
		t.Logf("to %s: %d packets, %.0f a second; listed %d in %d lines, %d reports lost", f.To, f.Sent, float64(f.Sent)/f.Seconds,
			f.Counted, f.Lines, f.Lost)
	}
}

package metrics

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/probe/docpage"
)

var _ = flag.Bool("update", false, "write the pages of docs instead of comparing them")

// servedBy says who serves the families that are not a node's own.
var servedBy = map[*family]string{
	kernelDrops: "`wgnode drops --metrics`", kernelLost: "`wgnode drops --metrics`",
	watchInfo: "`wgnode monitor --metrics`", watchLost: "`wgnode monitor --metrics`",
}

// The page of all metrics, made of their families.
func TestMetricsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Metrics\n\n" + docpage.Made("go test ./node/internal/metrics -run TestMetricsPage"))
	b.WriteString("How to turn them on, health checks and alerts: [examples/metrics](../examples/metrics/README.md). A node also has the\n")
	b.WriteString("`go_` and `process_` metrics of Prometheus's client library. A series of drops or failures begins with the first one.\n")
	b.WriteString("[Reasons](checkpoints.md#reasons) and [codes of verdicts](verdicts/README.md) have pages of their own.\n\n")
	b.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	all := slices.Clone(families)
	slices.SortFunc(all, func(f, g *family) int { return strings.Compare(f.name, g.name) })
	for _, f := range all {
		kind := "gauge"
		if f.kind == prometheus.CounterValue {
			kind = "counter"
		}
		labels := make([]string, len(f.labels))
		for i, l := range f.labels {
			labels[i] = docpage.Code(l)
		}
		about := docpage.Cell(f.help)
		if by := servedBy[f]; by != "" {
			about += " Served by " + by + "."
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", docpage.Code(f.name), kind, strings.Join(labels, ", "), about)
	}
	docpage.Check(t, "metrics.md", b.String())
}

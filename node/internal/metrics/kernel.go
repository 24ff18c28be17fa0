package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/node/droplist"
)

var (
	kernelDrops = counter("wgnode_kernel_dropped_packets_total",
		"Packets of the tunnel that the kernel of this host has dropped since `wgnode drops` began to look. Where proven is false, "+
			"packets of connections that work may be among them.",
		"interface", "segment", "reason", "place", "device", "proven")
	kernelLost = counter("wgnode_kernel_drop_reports_lost_total", "Reports of dropped packets that came faster than they could be read.",
		"interface")
)

// KernelDrops is what the kernel drops, as Prometheus sees it.
type KernelDrops struct {
	name string
	rows func() (rows []droplist.Row, lost uint64)
}

// NewKernelDrops returns a collector of rows, which may be asked for by several at a time.
func NewKernelDrops(name string, rows func() (rows []droplist.Row, lost uint64)) *KernelDrops {
	return &KernelDrops{name, rows}
}

// Describe implements [prometheus.Collector].
func (k *KernelDrops) Describe(to chan<- *prometheus.Desc) {
	describe(to, []*family{kernelDrops, kernelLost})
}

// Collect implements [prometheus.Collector].
func (k *KernelDrops) Collect(to chan<- prometheus.Metric) {
	rows, lost := k.rows()
	// Two devices may have had one name.
	type labels struct{ segment, reason, place, device, proven string }
	all := make(map[labels]uint64)
	for i := range rows {
		r := &rows[i]
		all[labels{r.Segment, r.Reason, r.Place, r.Device, strconv.FormatBool(r.Proven)}] += r.Count
	}
	for l, n := range all {
		emitTo(to)(kernelDrops, float64(n), k.name, l.segment, l.reason, l.place, l.device, l.proven)
	}
	emitTo(to)(kernelLost, float64(lost), k.name)
}

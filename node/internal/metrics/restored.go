package metrics

import "github.com/prometheus/client_golang/prometheus"

var restored = counter("wgnode_restored_total", "How often a firewall table was restored after another program had changed it.",
	"interface", "table")

// Restored counts the tables that were put back, as Prometheus sees it.
type Restored struct {
	name  string
	count func() map[string]uint64
}

// NewRestored returns a collector of the counts by table, which may be asked for
// by several at a time.
func NewRestored(name string, count func() map[string]uint64) *Restored {
	return &Restored{name, count}
}

// Describe implements [prometheus.Collector].
func (r *Restored) Describe(to chan<- *prometheus.Desc) { to <- restored.desc }

// Collect implements [prometheus.Collector].
func (r *Restored) Collect(to chan<- prometheus.Metric) {
	for table, n := range r.count() {
		emitTo(to)(restored, float64(n), r.name, table)
	}
}

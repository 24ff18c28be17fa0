package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/probe"
)

var (
	watchInfo = gauge("wgnode_watch_info", "Level at which a kernel device is watched; always 1.", "interface", "level")
	watchLost = counter("wgnode_watch_lost_events_total",
		"Events of the device that were lost because the buffer was full: the other counts miss them.", "interface")
)

// Watched says how a device of the kernel's is watched.
type Watched struct {
	name  string
	level func() probe.Level
	lost  func() uint64
}

// NewWatched returns the collector of a device.
func NewWatched(name string, level func() probe.Level, lost func() uint64) *Watched {
	return &Watched{name, level, lost}
}

// Describe implements [prometheus.Collector].
func (*Watched) Describe(to chan<- *prometheus.Desc) {
	describe(to, []*family{watchInfo, watchLost})
}

// Collect implements [prometheus.Collector].
func (w *Watched) Collect(to chan<- prometheus.Metric) {
	emitTo(to)(watchInfo, 1, w.name, string(w.level()))
	emitTo(to)(watchLost, float64(w.lost()), w.name)
}

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/probe"
)

var (
	watchInfo = gauge("wgnode_watch_info", "How a device of the kernel's is watched: 1, with the level.", "interface", "level")
	watchLost = counter("wgnode_watch_lost_events_total",
		"What the kernel had to tell of the device and found no room: the other counts lack it.", "interface")
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

package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	telemetryItems = counter("wgnode_telemetry_items_total", "Spans and other items that were sent by OTLP, or not: "+
		"sent, refused (by the receiver, or it did not answer), lost (the queue was full).", "interface", "signal", "outcome")
	telemetryWaiting = gauge("wgnode_telemetry_waiting_items", "Items that wait to be sent.", "interface", "signal")
	telemetryFlows   = counter("wgnode_telemetry_flows_total", "Openings of flows, by what became of them: traced, "+
		"unsampled, limited (too many failed at a time), forgotten (too many flows at a time), incomplete (events were missed).",
		"interface", "outcome")
	telemetryMissed = counter("wgnode_telemetry_missed_events_total", "Events that were overwritten before they were looked at.", "interface")
)

// TelemetrySignal is what became of the items of one signal.
type TelemetrySignal struct{ Sent, Refused, Lost, Waiting uint64 }

// TelemetryCounts are what became of what is sent by OTLP.
type TelemetryCounts struct {
	Signals map[string]TelemetrySignal
	Flows   map[string]uint64 // by outcome
	Missed  uint64
}

// Telemetry is what is sent by OTLP, as Prometheus sees it.
type Telemetry struct {
	name   string
	counts func() *TelemetryCounts
}

// NewTelemetry returns a collector of counts, which may be asked for by several at a time, and are nil
// while nothing is sent.
func NewTelemetry(name string, counts func() *TelemetryCounts) *Telemetry {
	return &Telemetry{name, counts}
}

// Describe implements [prometheus.Collector].
func (*Telemetry) Describe(to chan<- *prometheus.Desc) {
	describe(to, []*family{telemetryItems, telemetryWaiting, telemetryFlows, telemetryMissed})
}

// Collect implements [prometheus.Collector].
func (t *Telemetry) Collect(to chan<- prometheus.Metric) {
	if t.counts == nil {
		return
	}
	c := t.counts()
	if c == nil {
		return
	}
	emit := emitTo(to)
	for _, signal := range slices.Sorted(maps.Keys(c.Signals)) {
		s := c.Signals[signal]
		emit(telemetryItems, float64(s.Sent), t.name, signal, "sent")
		emit(telemetryItems, float64(s.Refused), t.name, signal, "refused")
		emit(telemetryItems, float64(s.Lost), t.name, signal, "lost")
		emit(telemetryWaiting, float64(s.Waiting), t.name, signal)
	}
	for _, outcome := range slices.Sorted(maps.Keys(c.Flows)) {
		emit(telemetryFlows, float64(c.Flows[outcome]), t.name, outcome)
	}
	emit(telemetryMissed, float64(c.Missed), t.name)
}

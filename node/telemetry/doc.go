// Package telemetry sends what a node sees to whatever speaks OTLP: an OpenTelemetry Collector, or a
// store that takes it directly.
//
//	spans ── queue of a bounded size ── batches ── OTLP exporter ──> receiver
//
// Where it is sent [Open] takes from [telemetry] of a configuration, and what that leaves open from
// the variables that all programs with OpenTelemetry's SDK follow (OTEL_EXPORTER_OTLP_ENDPOINT and
// the like). Without an endpoint in either there is nothing to open: see [Wanted].
//
// Nothing that is traced waits for what is sent. A receiver that is slow, gone or refuses costs what
// does not fit the queue, and nothing else; [Sender.Counts] says how much that was.
package telemetry

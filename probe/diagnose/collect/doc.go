// Package collect begins the facts that package diagnose judges by.
//
//	Knowledge ── FactsFrom ────> Facts
//	          ── CollectorFor ─> Collector <── events
//
// What is known of a node and its peers comes from a [Knowledge]: a running tunnel, a
// recording, or each host of several recordings that are merged. [FactsFrom] is the only
// place that makes facts of it.
//
// A [Collector] adds what the tunnel saw: of each peer's handshakes, and of one flow.
// What came before a success is forgotten, for it is no fault any more.
package collect

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/node/explain"
)

var (
	verdict = gauge("wgnode_peer_verdict", "State and verdict of the peer, as doctor reports them; always 1.", "interface",
		"public_key", "friendly_name", "state", "code")
	verdictAge = gauge("wgnode_verdict_age_seconds",
		"Age of the verdicts. A scrape returns the latest ones and starts a new check for the next scrape.", "interface")

	ofVerdicts = []*family{verdict, verdictAge}
)

// Kept are the reports of a doctor, one for each peer of a tunnel, and when it was asked.
type Kept struct {
	Peers []explain.KeptPeer
	At    time.Time // zero: there are none
}

// Verdicts are what a doctor says of a tunnel, as Prometheus sees it.
type Verdicts struct {
	name string
	kept func() Kept
}

// NewVerdicts returns a collector of the reports that kept returns, at once: a scrape
// does not wait for a doctor. It is called by several at a time perhaps.
func NewVerdicts(name string, kept func() Kept) *Verdicts { return &Verdicts{name, kept} }

// Describe implements [prometheus.Collector].
func (v *Verdicts) Describe(to chan<- *prometheus.Desc) { describe(to, ofVerdicts) }

// Collect implements [prometheus.Collector].
func (v *Verdicts) Collect(to chan<- prometheus.Metric) { v.write(emitTo(to)) }

// write writes all down.
func (v *Verdicts) write(to emit) {
	kept := v.kept()
	if kept.At.IsZero() {
		return
	}
	to(verdictAge, time.Since(kept.At).Seconds(), v.name)
	for i := range kept.Peers {
		p := &kept.Peers[i]
		to(verdict, 1, v.name, p.Peer, label(p.PeerName, p.Peer), string(p.State), string(p.Verdict.Code))
	}
}

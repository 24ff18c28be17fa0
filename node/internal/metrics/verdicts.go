package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/probe/diagnose"
)

var verdict = desc("wgnode_peer_verdict", "How the peer fares and why, in the words of doctor; always 1.", "interface",
	"public_key", "friendly_name", "state", "code")

// Verdicts are what a doctor says of a tunnel, as Prometheus sees it.
type Verdicts struct {
	name string
	ask  func() ([]diagnose.PeerReport, error)
}

// NewVerdicts returns a collector of the reports that ask returns, one for each
// peer of the tunnel. It is called at each scrape, by several at a time perhaps.
func NewVerdicts(name string, ask func() ([]diagnose.PeerReport, error)) *Verdicts {
	return &Verdicts{name, ask}
}

// Describe implements [prometheus.Collector].
func (v *Verdicts) Describe(to chan<- *prometheus.Desc) { to <- verdict }

// Collect implements [prometheus.Collector].
func (v *Verdicts) Collect(to chan<- prometheus.Metric) {
	reports, err := v.ask()
	if err != nil {
		to <- prometheus.NewInvalidMetric(verdict, err)
		return
	}
	for i := range reports {
		p := &reports[i]
		to <- prometheus.MustNewConstMetric(verdict, prometheus.GaugeValue, 1,
			v.name, p.Peer, label(p.PeerName, p.Peer), string(p.State), string(p.Verdict.Code))
	}
}

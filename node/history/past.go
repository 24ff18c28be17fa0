package history

import (
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/timeline"
)

const (
	// pastTime is how far an overview looks back, and mostPast how many bytes of history are read for
	// that: with thousands of peers it can be more than who wants a glance will wait for.
	pastTime = 24 * time.Hour
	mostPast = 8 << 20
)

// AddPast adds to the faults that an overview has how often they have come lately, by the
// histories in dir.
func AddPast(dir string, seen *overview.Overview) {
	since := seen.At.Add(-pastTime)
	for i := range seen.Tunnels {
		t := &seen.Tunnels[i]
		fault := func(p overview.Peer) bool { return p.Fault() }
		if t.Kind != overview.KindNode || !slices.ContainsFunc(t.Peers, fault) || Size(dir, t.Interface) > mostPast {
			continue
		}
		lines, err := Read(dir, t.Interface)
		if err != nil {
			continue // none is kept; who wants to know why asks for the history
		}
		peers, begin := lines.Timeline(since, seen.At)
		for j := range t.Peers {
			p := &t.Peers[j]
			at := slices.IndexFunc(peers, func(q timeline.Peer) bool { return q.Peer == p.PublicKey })
			if at < 0 || !p.Fault() {
				continue
			}
			q := &peers[at]
			p.Past = &overview.Past{Since: since, Failures: q.Failures, Failing: q.Failing, Codes: q.Codes}
			if begin.After(since) {
				p.Past.Since = begin
			}
		}
	}
}

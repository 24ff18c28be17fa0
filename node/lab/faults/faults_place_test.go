//go:build linux

package faults

import (
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfMapping are those of a peer that H knows by its packets alone, and whose NAT, R,
// has forgotten it. It was heard a moment ago, so that NAT is not the first to be thought of.
func faultsOfMapping() []fault {
	f := fault{how: "NAT has forgotten a mapping", side: "B", at: "A3", says: "or NAT in front of it",
		ask:    func(s *site) *diagnose.Report { return s.ExplainOn(s.H, s.Inner(1)) },
		twin:   func(s *site) { s.A.Ping(s.Inner(2)) },
		inject: func(s *site) { s.R.Run("conntrack", "-F") }}
	closed, silent := f, f
	closed.code, closed.first = diagnose.EndpointPortClosed, diagnose.EndpointPortClosed
	silent.code, silent.first = diagnose.NoResponse, diagnose.NoResponse
	silent.inject = func(s *site) {
		sitetest.NFT(s.R, "input", "iifname wan meta l4proto udp drop")
		f.inject(s)
	}
	return []fault{closed, silent}
}

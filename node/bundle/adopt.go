package bundle

import (
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/recording"
)

// Adopt gives an explanation from a bundle's recording what doctor found on the host: its findings,
// and its verdict of the peer if that is a fault. Doctor has judged by the same events, and by the
// state of the host at that time, which the recording does not show; if it is not certain, what
// became of the flow itself says more. It reports whether the verdict is doctor's now.
func (c *Contents) Adopt(report *diagnose.Report, m *recording.Meta, target netip.Addr) bool {
	if c == nil || c.Doctor == nil {
		return false
	}
	report.Findings, report.Unchecked = c.Doctor.Findings, c.Doctor.Unchecked
	if report.MTU == 0 {
		report.MTU = c.Doctor.MTU
	}
	v := &report.Verdict
	behind, name := peerBehind(m, target)
	if report.Peer == "" {
		report.Peer, report.PeerName = behind, name
	}
	if report.Peer != behind && !slices.Contains(m.Addrs, target) && !passed(report) {
		return false // nothing shows that the flow has to do with the peer
	}
	for i := range c.Doctor.Peers {
		p := &c.Doctor.Peers[i]
		if p.Peer != report.Peer || p.Verdict.Healthy() || p.Verdict.Code == diagnose.Idle {
			continue
		}
		if v.Code != diagnose.Idle && !p.Verdict.Certain {
			continue
		}
		*v, report.Ladder, report.Side = p.Verdict, p.Ladder, p.Side
		return true
	}
	return false
}

// passed reports whether packets of the flow itself have passed anywhere.
func passed(r *diagnose.Report) bool {
	return slices.ContainsFunc(r.Ladder, func(rung diagnose.Rung) bool {
		switch rung.Checkpoint {
		case probe.A2, probe.A3, probe.B1, probe.B2: // of the tunnel
			return false
		}
		return rung.Status == diagnose.Pass
	})
}

// peerBehind is the peer that gets packets to an address, by the AllowedIPs of a recording.
func peerBehind(m *recording.Meta, a netip.Addr) (key, name string) {
	best := -1
	for i := range m.Peers {
		p := &m.Peers[i]
		for _, prefix := range p.AllowedIPs {
			if p.Configured && prefix.Contains(a) && prefix.Bits() > best {
				best, key, name = prefix.Bits(), p.PublicKey.Base64(), p.Name
			}
		}
	}
	return key, name
}

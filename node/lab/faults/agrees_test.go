//go:build linux

package faults

import (
	"flag"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

var faultDoctor = flag.Bool("faults.doctor", false, "have doctor look, too, and agree")

// agrees has doctor look at a fault that explain has a verdict on. What keeps handshakes from
// coming through, doctor says in the same word, as a verdict or as a finding; of what is inside
// of the tunnel it need not know, and says nothing else that is certain.
func (s *site) agrees(f *fault, r *diagnose.Report) {
	s.T.Helper()
	calls := s.Calls(f.service(s))
	defer calls.Stop()
	var d diagnose.DoctorReport
	s.Ask(f.host(s), &d, "doctor", "wg0", "--for", "7s")
	v := &r.Verdict
	same := slices.ContainsFunc(d.Peers, func(p diagnose.PeerReport) bool { return p.Verdict.Code == v.Code }) ||
		slices.ContainsFunc(d.Findings, func(found diagnose.Finding) bool { return found.Code == v.Code })
	handshake := []probe.Checkpoint{probe.A2, probe.A3, probe.B1, probe.B2}
	if v.Certain && slices.Contains(handshake, v.Checkpoint) && !same {
		s.T.Errorf("explain says %s at %s, and doctor %+v\nfindings %+v", v.Code, v.Checkpoint, d.Peers, d.Findings)
	}
	for _, p := range d.Peers {
		if o := &p.Verdict; o.Certain && !o.Healthy() && o.Code != diagnose.Idle && o.Code != v.Code {
			s.T.Errorf("explain says %s, and doctor is certain of %s: %s", v.Code, o.Code, o.Summary)
		}
	}
}

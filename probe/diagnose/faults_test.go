package diagnose

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
)

// What is well, idle or only worth knowing is no fault, and of two with the same fix one is told.
func TestFaults(t *testing.T) {
	peer := key.Public{7}
	same := fix.Steps{fix.Command("ip link set wg0 up")}
	r := &DoctorReport{
		Peers: []PeerReport{
			{Peer: "a", Verdict: Verdict{Code: Healthy}},
			{Peer: "b", Verdict: Verdict{Code: Idle}},
			{Peer: "c", Verdict: Verdict{Code: NoResponse, Summary: "nothing comes", Fix: same}},
			{Peer: "d", Verdict: Verdict{Code: NoResponse, Summary: "nothing comes", Fix: same}},
		},
		Findings: []Finding{
			{Code: NodeDied, Summary: "left its rules"},
			{Code: NodeDied, Summary: "left its rules", Fix: fix.Steps{fix.Command("wgnode recover wg1")}},
			{Code: NodeDied, Failing: true, Peer: peer, Summary: "it fails", Fix: fix.Steps{fix.Command("wgnode recover wg2")}},
		},
	}
	want := []Fault{
		{Code: NoResponse, Peer: "c", Summary: "nothing comes", Fix: same},
		{Code: NodeDied, Peer: peer.String(), Summary: "it fails", Fix: fix.Steps{fix.Command("wgnode recover wg2")}, Certain: true},
	}
	if diff := cmp.Diff(want, r.Faults()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

//go:build linux

package faults

import (
	"fmt"
	"testing"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// A hub whose session with a peer is up, while what the peer sends goes no further, is not
// healthy: the state, the exit status and the finding say so. Once it is mended they do not.
func TestDoctorDegraded(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			s.ConfA.Replace(s.T, "10.0.0.2/32, fd0a::2/128", "10.0.0.0/24, fd0a::/64")
			s.UpBoth()
			s.A.Ping(s.Inner(2))
			state := func(want diagnose.State) []diagnose.Finding {
				t.Helper()
				r := s.doctor(s.H)
				if len(r.Peers) != 1 || r.Peers[0].State != want || r.Healthy() != (want == diagnose.StateUp) {
					t.Errorf("want %s: %+v", want, r)
				}
				return r.Findings
			}
			state(diagnose.StateUp)
			if _, status, err := s.A.Try("ping", "-c", "1", "-W", "1", s.Inner(77)); err != nil || status == 0 {
				t.Fatalf("ping of nobody: status %d (%v)", status, err)
			}
			s.wantFinding(state(diagnose.StateDegraded), diagnose.NoAllowedIPsMatch, s.Inner(77))
			s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", s.Inner(1)+","+s.Inner(77))
			state(diagnose.StateUp)
		})
	}
}

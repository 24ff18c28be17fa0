//go:build linux

package faults

import (
	"fmt"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A hub whose session with a peer is up, while what the peer sends goes no further, is not
// healthy: the state, the exit status and the finding say so. Once it is mended they do not.
func TestDoctorDegraded(t *testing.T) {
	t.Parallel()
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

// What hosts multicast by themselves troubles nobody, on its way in or out of a tunnel: no
// verdict, finding or state speaks of it, and no other drop counts it.
func TestDoctorMulticast(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.ConfA.Replace(s.T, "10.0.0.2/32, fd0a::2/128", "10.0.0.2/32, fd0a::2/128, 224.0.0.251/32, ff05::fb/128")
		s.UpBoth()
		s.A.Ping(s.Inner(2))
		group, other := "224.0.0.251", "224.0.0.252"
		if s.V6 {
			group, other = "ff05::fb", "ff05::fc"
		}
		s.A.Run("ip", s.Flag(), "address", "add", s.Inner(77), "dev", "lo")
		s.A.Settle()
		for _, to := range []string{group, other} { // of which H's peer has the first, from a source that H does not expect
			if _, _, err := s.A.Try("ping", "-c", "1", "-W", "1", "-I", s.Inner(77), "-I", "wg0", to); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range []*lab.Host{s.A, s.H} {
			r := s.doctor(h)
			if len(r.Peers) != 1 || r.Peers[0].State != diagnose.StateUp || len(r.Findings) > 0 ||
				r.Drops[probe.NoAllowedIPsMatch.String()]+r.Peers[0].Drops[probe.DisallowedSource.String()] > 0 {
				t.Errorf("%+v", r)
			}
			if h == s.A && r.Drops[probe.LinkScope.String()] == 0 || h == s.H && r.Peers[0].Drops[probe.LinkScope.String()] == 0 {
				t.Errorf("not counted: %+v", r)
			}
		}
	})
}

package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
	"github.com/wgnode/wgnode/probe/key"
)

// Whoever sends an initiation that is refused is a finding, with what to do if it is a
// host of one's own. It is no verdict of any flow or peer, whatever else is the case.
func TestStrangers(t *testing.T) {
	fixes := make(fixtest.Fixes)
	for _, test := range []struct {
		name   string
		reason probe.Reason
		key    key.Public
		code   diagnose.Code
		says   string
	}{
		{name: "unknown peer", reason: probe.UnknownPeer, key: [32]byte{1, 2, 3}, code: diagnose.UnknownPeer, says: "AQIDAAAA"},
		{name: "a peer without a private key", reason: probe.UnknownPeer, code: diagnose.UnknownPeer, says: "without a private key"},
		{name: "wrong public key", reason: probe.InvalidMAC1, code: diagnose.WrongPublicKey, says: "another public key"},
	} {
		s := tell(probe.SideB).knocks(test.reason, test.key)
		found := Strangers(s.Facts, s.Strangers)
		if len(found) != 1 || found[0].Code != test.code || found[0].Peer != test.key || found[0].Failing ||
			!strings.Contains(found[0].Summary, test.says) || !strings.Contains(found[0].Summary, "anybody could have sent") {
			t.Errorf("%s: %+v", test.name, found)
		}
		for name, s := range map[string]*story{
			"nothing else":  tell(probe.SideB),
			"it is asked":   tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn),
			"it asks":       tell(probe.SideA).asks().calls(),
			"it answered":   tell(probe.SideB).called().called(),
			"of its source": edited(tell(probe.SideB), func(s *story) { s.Flow.Source = netip.PrefixFrom(endpoint.Addr(), 32) }),
		} {
			v, _ := s.knocks(test.reason, test.key).judge()
			if v.Certain && !v.Healthy() || v.Code == test.code {
				t.Errorf("%s, %s: %s, certain %v", test.name, name, v.Code, v.Certain)
			}
		}
		fixes.Add(t, test.name, func(config string) fix.Steps {
			s.Config = config
			return Strangers(s.Facts, s.Strangers)[0].Fix
		})
	}
	fixes.Compare(t, "testdata/fixes/strangers.json")
}

// A host can send in the name of thousands: they do not fill the report.
func TestStrangersAreFew(t *testing.T) {
	s := tell(probe.SideB)
	for i := range 50 {
		s.knocks(probe.UnknownPeer, [32]byte{byte(i), 1})
	}
	found := Strangers(s.Facts, s.Strangers)
	if len(found) != strangersTold || !strings.Contains(found[len(found)-1].Summary, "; 42 others did the like") {
		t.Errorf("%d findings: %+v", len(found), found)
	}
	v, _ := s.judge()
	if len(v.Candidates) != strangersTold || slices.ContainsFunc(v.Evidence, func(l evidence.Line) bool { return l.Decides }) {
		t.Errorf("%d candidates, evidence %q", len(v.Candidates), v.Evidence)
	}
}

package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Where only the peer's packets have told its endpoint, NAT in front of it may have
// forgotten the mapping: nothing that comes from that address is for certain the peer's.
func TestMappingExpired(t *testing.T) {
	called := func() *story {
		s := tell(probe.SideA)
		s.Peer.Written, s.Peer.Learned, s.Peer.Heard = "", true, now.Add(-10*time.Minute)
		return s
	}
	silent := func(s *story) *story { return s.asks().calls().after(5 * time.Second).calls() }
	for _, test := range []struct {
		name     string
		s        *story
		edit     func(p *diagnose.Peer)
		code     diagnose.Code
		sure     bool
		first    diagnose.Code // of the candidates
		keepsFix bool          // it is not told to send keepalives
	}{
		{name: "NAT says that the port is closed", s: called().calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"),
			code: diagnose.EndpointPortClosed, first: diagnose.NoKeepalive},
		{name: "NAT prohibits", s: called().calls().icmp(probe.ICMPProhibited, "203.0.113.2"),
			code: diagnose.EndpointProhibited, first: diagnose.NoKeepalive},
		{name: "NAT is silent", s: silent(called()), code: diagnose.NoResponse, first: diagnose.NoKeepalive},
		{name: "heard just now", s: silent(called()), edit: func(p *diagnose.Peer) { p.Heard = now.Add(-12 * time.Second) },
			code: diagnose.NoResponse, first: diagnose.NoResponse, keepsFix: true},
		{name: "configured", s: called().calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"),
			edit: func(p *diagnose.Peer) { p.Learned = false }, code: diagnose.EndpointPortClosed, sure: true, keepsFix: true},
		{name: "a router on the way", s: called().calls().icmp(probe.ICMPHostUnreachable, "198.51.100.9"),
			code: diagnose.EndpointUnreachable, sure: true, keepsFix: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.edit != nil {
				test.edit(test.s.Peer)
			}
			v, _ := test.s.judge()
			if v.Code != test.code || v.Certain != test.sure {
				t.Errorf("%s, certain %v: %s", v.Code, v.Certain, v.Summary)
			}
			if test.first != "" && (len(v.Candidates) < 2 || v.Candidates[0].Code != test.first ||
				!slices.ContainsFunc(v.Candidates, func(c diagnose.Candidate) bool { return c.Code == diagnose.NoKeepalive })) {
				t.Errorf("candidates %+v", v.Candidates)
			}
			told := strings.Contains(strings.Join(v.Fix.Lines(), "\n"), "PersistentKeepalive = 25")
			if told == test.keepsFix {
				t.Errorf("keepalives: %v, in\n%s", told, strings.Join(v.Fix.Lines(), "\n"))
			}
		})
	}
}

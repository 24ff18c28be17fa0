package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
)

// forwards is a packet of the flow at the forwarder of a node that routes itself.
func (s *story) forwards(cp probe.Checkpoint, flags uint8, why probe.Reason) *story {
	src, dst := here, target
	if cp == probe.B6 && why == probe.ReasonNone {
		src, dst = dst, src
	}
	return s.add(probe.Event{Kind: probe.KindInner, Seam: probe.SeamForward, Checkpoint: cp, Proto: probe.ProtoTCP, Info: flags, Reason: why,
		InnerSrc: probe.AddrFrom(src.Addr()), InnerDst: probe.AddrFrom(dst.Addr()), InnerSrcPort: src.Port(), InnerDstPort: dst.Port()})
}

// What becomes of a flow behind a node that routes by sockets of its host.
func TestRouter(t *testing.T) {
	fixes := make(fixtest.Fixes)
	arrives := func(allow ...string) *story {
		s := tell(probe.SideB)
		s.Flow.Probe, s.Flow.Route = diagnose.Probe{}, evidence.RouteDecision{}
		s.Router = &diagnose.Router{Allow: allow}
		return s.inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn)
	}
	back := func(s *story, flags uint8) *story {
		return s.inner(probe.B7, probe.SeamTUNRead, target, here, flags)
	}
	for _, test := range []struct {
		name    string
		s       *story
		code    diagnose.Code
		at      probe.Checkpoint
		certain bool
		settled bool
		says    string // in the fix
		b5, b6  diagnose.Status
	}{
		{name: "nothing is routed", s: arrives().forwards(probe.B5, 0, probe.ICMPProhibited), code: diagnose.ForwardingDisabled, at: probe.B5,
			certain: true, settled: true, says: `allow = ["tcp:192.168.200.22/32:80"]`, b5: diagnose.Fail, b6: diagnose.Unknown},
		{name: "not in the list", s: arrives("10.0.0.0/8").forwards(probe.B5, 0, probe.ICMPProhibited), code: diagnose.ForwardFirewall,
			at: probe.B5, certain: true, settled: true, says: `allow = ["10.0.0.0/8", "tcp:192.168.200.22/32:80"]`, b5: diagnose.Fail,
			b6: diagnose.Unknown},
		{name: "the host's own firewall", s: arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).
			forwards(probe.B5, 0, probe.ICMPProhibited), code: diagnose.ForwardFirewall, at: probe.B5, certain: true, settled: true,
			says: "nft list ruleset", b5: diagnose.Fail, b6: diagnose.Unknown},
		{name: "no route", s: arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).forwards(probe.B5, 0, probe.ICMPNetUnreachable),
			code: diagnose.NoRouteOnward, at: probe.B5, certain: true, settled: true, says: "ip route get 192.168.200.22", b5: diagnose.Fail,
			b6: diagnose.Unknown},
		{name: "nobody there", s: arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).forwards(probe.B6, 0, probe.ICMPHostUnreachable),
			code: diagnose.NeighborUnreachable, at: probe.B6, certain: true, settled: true, says: "ip neighbour show 192.168.200.22",
			b5: diagnose.Pass, b6: diagnose.Fail},
		{name: "nobody there, for a connection that had begun", s: arrives("0.0.0.0/0").forwards(probe.B6, 0, probe.ICMPHostUnreachable),
			code: diagnose.NeighborUnreachable, at: probe.B6, certain: true, settled: true, says: "ip neighbour show 192.168.200.22",
			b5: diagnose.Pass, b6: diagnose.Fail},
		{name: "refused", s: back(arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).forwards(probe.B6, probe.TCPRst|probe.TCPAck, 0),
			probe.TCPRst|probe.TCPAck), code: diagnose.ConnectionRefused, certain: true, settled: true, says: "ss -tlnp", b5: diagnose.Pass,
			b6: diagnose.Pass},
		{name: "silence", s: arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0), code: diagnose.NoReplyFromDestination, at: probe.B6,
			settled: true, says: "tcpdump -ni any host 192.168.200.22", b5: diagnose.Pass, b6: diagnose.Fail},
		{name: "all is well", s: back(arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).forwards(probe.B6, probe.TCPSyn|probe.TCPAck, 0),
			probe.TCPSyn|probe.TCPAck), code: diagnose.Healthy, certain: true, settled: true, b5: diagnose.Pass, b6: diagnose.Pass},
		// A later connection is judged by its own packets.
		{name: "mended", s: back(arrives("0.0.0.0/0").forwards(probe.B5, probe.TCPSyn, 0).
			inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn).forwards(probe.B5, probe.TCPSyn, 0).
			forwards(probe.B6, probe.TCPSyn|probe.TCPAck, 0), probe.TCPSyn|probe.TCPAck), code: diagnose.Healthy, certain: true, settled: true,
			b5: diagnose.Pass, b6: diagnose.Pass},
	} {
		test.s.Since = now.Add(-9 * time.Second)
		v, settled := test.s.judge()
		if v.Code != test.code || v.Checkpoint != test.at || v.Certain != test.certain || settled != test.settled {
			t.Errorf("%s: %s at %s, certain %v, settled %v: %s", test.name, v.Code, v.Checkpoint, v.Certain, settled, v.Summary)
		}
		if !strings.Contains(strings.Join(v.Fix.Lines(), "\n"), test.says) {
			t.Errorf("%s: fix %q, want %q", test.name, v.Fix.Lines(), test.says)
		}
		for cp, want := range map[probe.Checkpoint]diagnose.Status{probe.B5: test.b5, probe.B6: test.b6} {
			rungs := test.s.Ladder(&v, now)
			i := slices.IndexFunc(rungs, func(r diagnose.Rung) bool { return r.Checkpoint == cp })
			if rungs[i].Status != want {
				t.Errorf("%s: %s %s (%s), want %s", test.name, cp, rungs[i].Status, rungs[i].Detail, want)
			}
		}
		addFix(t, fixes, test.name, test.s.Facts)
	}
	fixes.Compare(t, "testdata/fixes/router.json")
}

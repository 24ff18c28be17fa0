package merge

import (
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
)

// This file joins what two hosts saw of a flow that went through a third, which was not
// recorded. No message is in both recordings: the packets inside tell, and that is inferred.

// sameTime is by how much the hosts' clocks may differ where only times join packets.
const sameTime = int64(2 * time.Second)

// between returns the peer that two hosts have in common and that was not recorded, false if
// there is none.
func (m *merger) between(a, b *host) (key.Public, bool) {
	for i := range a.Peers {
		k := a.Peers[i].PublicKey
		if b.knows(k) && m.hostOf(m.keys[k]) < 0 {
			return k, true
		}
	}
	return key.Public{}, false
}

// follows reports whether the second hop of a flow begins where the first ends. Through a host
// that was not recorded the packets must be the same, too.
func follows(first, second *hop) bool {
	if first.key.b == 0 || second.key.a != first.key.b {
		return false
	}
	return !unrecorded(first, second) || samePackets(first, second)
}

// unrecorded reports whether both ends of two hops were recorded, and not what lies between.
func unrecorded(first, second *hop) bool {
	return first.a >= 0 && first.b < 0 && second.a < 0 && second.b >= 0
}

// samePackets reports whether two hops of one client and one service have the same packets:
// of the same connection, or, where there are several, of the same time by the hosts' clocks.
func samePackets(first, second *hop) bool {
	sent, got := &first.passed[probe.A1], &second.passed[probe.B4]
	if sent.n == 0 || got.n == 0 {
		return false
	}
	return sent.first.InnerSrcPort == got.first.InnerSrcPort || max(second.began-first.began, first.began-second.began) <= sameTime
}

// infer brings what the far host of a flow saw into the verdict of the near one.
func (m *merger) infer(v *diagnose.Verdict, second *hop, far diagnose.Verdict) {
	through, c := m.nameOf(second.key.a), m.nameOf(second.key.b)
	same := evidence.Inferred.Says("by their inner addresses and times the packets in the recording of %s are those: "+
		"%s, which lies between, was not recorded", c, through)
	answered := second.passed[probe.B8].n > 0
	switch {
	case v.Healthy() || ends(v):
		v.Evidence = append(v.Evidence, same)
	case !far.Healthy() && far.Code != diagnose.Idle && !answered:
		same.Decides = true
		*v = far
		v.Evidence = append(v.Evidence, same)
		v.Weigh()
	case answered:
		v.Evidence = append(v.Evidence, same, evidence.Inferred.Says("%s got it, and its answer left: it is lost on the path back", c))
		v.Summary = fmt.Sprintf("%s; %s has answered, so the answer seems to be lost on its path back, at %s or beyond",
			v.Summary, c, through)
		v.Fix = m.onHub(second, through)
	default:
		v.Evidence = append(v.Evidence, same)
	}
}

// notThere says that the host whose address the target of a flow is was recorded, and did not
// get it, where what lies between was not recorded.
func (m *merger) notThere(v *diagnose.Verdict, f *hop) {
	if f.a < 0 || f.b >= 0 || v.Healthy() || ends(v) || f.passed[probe.A4].n == 0 {
		return
	}
	a := m.hosts[f.a]
	i := slices.IndexFunc(m.hosts, func(c *host) bool {
		_, shared := m.between(a, c)
		return c != a && shared && has(c.Addrs, f.target().Addr()) && c.covers(f.began, f.began)
	})
	if i < 0 {
		return
	}
	through, c := m.nameOf(f.key.b), m.hosts[i].label()
	v.Evidence = append(v.Evidence, evidence.Inferred.Says("%s, which has that address, was recorded at that time and got no such packet; "+
		"%s, which lies between, was not recorded", c, through))
	v.Summary = fmt.Sprintf("%s; %s has not got it, so that it seems to be lost at %s", v.Summary, c, through)
	v.Fix = m.onHub(f, through)
}

// onHub is what to ask on the host that was not recorded.
func (m *merger) onHub(f *hop, through string) fix.Steps {
	return fix.Steps{fix.Note("the host between knows; on " + through + ":"),
		fix.Check("wgnode explain %s --passive --from %s", probe.TargetText(f.target()), f.key.client.Netip()).On(through)}
}

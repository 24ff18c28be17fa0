package rules

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the node itself did with the packet under study. That outranks
// every answer: an ICMP error about a packet that this node has dropped is its own word, in
// whoever's name it comes.

// droppedHere: the tunnel has no use for the packet.
func (f facts) droppedHere(now time.Time) *ruling {
	e, a1 := f.Flow.Dropped, f.Flow.Seen[probe.A1]
	if e == nil || e.Seam != probe.SeamTUNRead || a1 != nil && a1.Time > e.Time || f.Flow.Probe.Answered ||
		f.Flow.Works() && f.Flow.Answer == nil {
		return nil
	}
	if _, dst := e.Inner(); dst.Addr() != f.Flow.Target.Addr() {
		return nil // an answer, which belongs to the other direction
	}
	switch {
	case unmatchedReason(e.Reason) && viewOf(f) == asB:
		return final(f.unmatched())
	case e.Reason != probe.NoEndpoint:
	case f.Onward != nil:
		return facts{f.Onward}.noEndpoint(now)
	case f.Peer != nil && viewOf(f) == asA:
		return f.noEndpoint(now)
	}
	return nil
}

// sentBack: the packet goes to where it came from. To the kernel that it comes back to it
// has a source of its own, which is dropped as a martian and is no fault of that host.
func (f facts) sentBack(time.Time) *ruling {
	dst := f.Flow.Target.Addr()
	if f.Flow.Probe.Answered || f.Flow.Works() && f.Flow.Answer == nil {
		return nil
	}
	if viewOf(f) == asB {
		b4, a1 := f.Flow.Seen[probe.B4], f.Flow.Seen[probe.A1]
		if b4 == nil || a1 == nil || b4.Peer == 0 || a1.Peer != b4.Peer || a1.Time < b4.Time {
			return nil
		}
		return final(diagnose.Verdict{Code: diagnose.NoRouteOnward, Checkpoint: probe.B5, Where: diagnose.WhereHere,
			Summary: fmt.Sprintf("this host sends the packet to %s back to %s, which it came from: it routes %s into %s, "+
				"and the AllowedIPs of %s hold it", f.target(), f.Peer.Label(), dst, f.Interface, f.Peer.Label()),
			Evidence: []evidence.Line{evidence.Kernel.Decides("it came out of the tunnel from %s, entered it again, and was encrypted for %s",
				f.Peer.Label(), f.Peer.Label())},
			Fix: fix.Steps{fix.Notef("if %s is behind another peer, put it into the AllowedIPs of that one; who has what:", dst),
				fix.Check("wg show %s allowed-ips", f.Interface),
				fix.Note("if it is on another link, give it a route there:"),
				fix.Command("ip route add %s via GATEWAY dev LINK", hostPrefix(dst))}})
	}
	if f.Flow.Returned == nil || f.Peer == nil {
		return nil
	}
	return final(diagnose.Verdict{Code: diagnose.NoRouteOnward, Checkpoint: probe.B5, Where: diagnose.WherePeer,
		Summary: fmt.Sprintf("%s sends packets to %s back to this host: it routes %s as an address behind this one",
			f.Peer.Label(), f.target(), dst),
		Evidence: []evidence.Line{evidence.Authenticated.Decides("a packet from this host to %s came back through %s",
			f.target(), f.Peer.Label())},
		Fix: fix.Steps{fix.Notef("on %s: which peer has %s in its AllowedIPs, and where does its route lead?", f.Peer.Label(), dst),
			fix.Check("wg show all allowed-ips").On(f.Peer.Label()), fix.Check("ip route get %s", dst).On(f.Peer.Label())}})
}

// nodeSays judges an ICMP error by which a wgnode says that it has dropped the packet
// itself; nil if it is not one.
func (f facts) nodeSays(e *probe.Event, who string, heard evidence.Known, way string) *diagnose.Verdict {
	why, ok := e.NodeSays()
	dst := f.Flow.Target.Addr()
	v := &diagnose.Verdict{Checkpoint: probe.B5, Where: diagnose.WherePeer,
		Evidence: []evidence.Line{heard.Decides("ICMP host unreachable from %s, the word of a wgnode with its reason, %s, %s", who, why, way)}}
	if f.Side == probe.SideB {
		v.Where = diagnose.WhereBeyond
	}
	switch {
	case ok && why == probe.NoAllowedIPsMatch:
		v.Code = diagnose.NoAllowedIPsMatch
		v.Summary = fmt.Sprintf("%s routes the packet to %s into its tunnel, where %s is in no peer's AllowedIPs", who, f.target(), dst)
		v.Fix = fix.Steps{fix.Notef("on %s: add %s to the AllowedIPs of the peer that has it; who has what:", who, dst),
			fix.Check("wg show all allowed-ips").On(who)}
		if what := f.unfit(dst); what != "" {
			v.Fix = f.askInside(what)
		}
	case ok && why == probe.NoEndpoint:
		v.Code = diagnose.NoEndpoint
		v.Summary = fmt.Sprintf("%s has no endpoint for the peer that %s is behind: only that peer can initiate", who, dst)
		v.Fix = fix.Steps{fix.Notef("on the peer that %s is behind, in its [Peer] for %s:", dst, who),
			fix.Config(fix.Where{Host: dst.String(), Section: "Peer"}, "PersistentKeepalive", "25"),
			fix.Notef("has it called in? On %s:", who), fix.Check("wg show all endpoints").On(who)}
	default:
		return nil
	}
	return v
}

// neighborTime is what a host takes at least to give up a neighbor that it has not asked for
// before: it asks three times, once a second. What comes sooner may be of WireGuard on that
// host, which refuses at once.
const neighborTime = 900 * time.Millisecond

// orNode weakens a verdict that a neighbor is silent where the host that says so may as well
// have dropped the packet as it entered a tunnel there: if the answer came at once, or in the
// name of the destination itself.
func (f facts) orNode(e *probe.Event, who string, v *diagnose.Verdict) {
	if e.Seam == probe.SeamForward {
		return // this host's own kernel says so
	}
	dst, sent := f.Flow.Target.Addr(), f.Flow.Seen[probe.A4]
	if f.Side == probe.SideB {
		sent = f.Flow.Seen[probe.B4]
	}
	var why string
	switch {
	case who == dst.String():
		why = fmt.Sprintf("%s cannot say of itself that it is unreachable: another host speaks in its name", who)
		who = f.Peer.Label()
	case sent != nil && time.Duration(e.Time-sent.Time) < neighborTime:
		why = "it came sooner than a host gives up a neighbor"
	default:
		return
	}
	v.Evidence = append(v.Evidence, evidence.Inferred.Decides("%s", why))
	v.Candidates = []diagnose.Candidate{
		diagnose.Maybe(diagnose.NeighborUnreachable, "on %s, ip neighbour show %s: does it say FAILED?", who, dst),
		diagnose.Maybe(diagnose.NoAllowedIPsMatch, "on %s, ip route get %s: does it lead into a tunnel, none of whose peers has it "+
			"in wg show all allowed-ips?", who, dst),
		diagnose.Maybe(diagnose.NoEndpoint, "on %s, wg show all endpoints: is the peer that has %s without one?", who, dst)}
}

package rules

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what came back: that all is well, or that somebody says no.

func healthy(summary string, because ...evidence.Line) diagnose.Verdict {
	return diagnose.Verdict{Code: diagnose.Healthy, Where: diagnose.WhereHere, Summary: summary, Evidence: because}
}

// answered: the destination answers the probe, and by way of the tunnel.
func (f facts) answered(time.Time) *ruling {
	if !f.Flow.Probe.Answered || f.outside() {
		return nil
	}
	v := healthy(fmt.Sprintf("%s answers through %s", f.target(), f.Peer.Label()),
		evidence.Kernel.Decides("the probe was answered after %s", probe.Brief(f.Flow.Probe.Took)))
	v.Evidence = append(v.Evidence, measured(f.PathMTU))
	return final(v)
}

// overheard: somebody else's packet has got its answer.
func (f facts) overheard(time.Time) *ruling {
	a1, a6 := f.Flow.Seen[probe.A1], f.Flow.Seen[probe.A6]
	p := f.Kernel.On(evidence.FromTunnel)
	if f.Flow.Probe.Sent || f.Flow.Answer != nil || a1 == nil || a6 == nil || a6.Time < a1.Time || !f.Flow.Answers.Given() {
		return nil
	}
	if f.Kernel != nil && f.Kernel.Blind == "" && !f.Kernel.WireOnly && p.Passed == "" {
		return nil
	}
	return final(healthy(fmt.Sprintf("%s answers through %s", f.target(), f.Peer.Label()),
		evidence.Authenticated.Decides("the packet entered %s, and its reply came out of it", f.Interface)))
}

func (f facts) alive(now time.Time) *ruling {
	h := &f.Peer.Handshake
	if !h.Alive(now) {
		return nil
	}
	v := healthy(fmt.Sprintf("the session with %s is up", f.Peer.Label()),
		evidence.Authenticated.Decides("handshake completed %s ago", probe.Brief(now.Sub(h.Established))))
	return final(v)
}

// refused: the far service, or a host on the way, says no, through the tunnel.
func (f facts) refused(time.Time) *ruling {
	e := f.Flow.Answer
	if e == nil {
		return nil
	}
	// On the side that is called this host may have said it itself. What it did to
	// the request is told apart from the answer, and perhaps later; of a request that it had answered
	// before it was watched, not at all.
	settled := f.Side == probe.SideA || !f.traced() || !e.When().Before(f.Watched) &&
		f.Kernel.On(evidence.FromTunnel).Packets > 0 && !f.Kernel.On(evidence.FromTunnel).Incomplete
	src, _ := e.Inner()
	who := src.Addr().String()
	heard, way := evidence.Authenticated, "came back through "+f.Peer.Label()
	if e.Seam == probe.SeamForward {
		heard, way = evidence.Kernel, "was the answer to a socket of this host"
	}
	if !e.ICMPError() {
		if d := f.Kernel.On(evidence.FromTunnel).KernelDrop; d != nil && d.Reason == "NO_SOCKET" && !d.Usual && d.Dst == f.Flow.Target {
			return &ruling{f.nothingListens(d, heard.Decides("TCP reset from %s %s", src, way)), settled}
		}
		return &ruling{diagnose.Verdict{Code: diagnose.ConnectionRefused, Where: diagnose.WhereBeyond,
			Summary:  fmt.Sprintf("the tunnel works; %s refuses the connection: nothing listens there, or a firewall there rejects it", f.target()),
			Evidence: []evidence.Line{heard.Decides("TCP reset from %s %s", src, way)},
			Fix:      fix.Steps{fix.Note("on " + who + ": start the service, or see what listens"), fix.Check("ss -tlnp").On(who)}}, settled}
	}
	if f.rejectedOnTheWay(e, src.Addr()) {
		return &ruling{f.wayRejects(e, who, heard, way), settled}
	}
	code, says := innerICMP(e)
	icmpType, icmpCode, _ := e.ICMP()
	v := diagnose.Verdict{Code: code, Where: diagnose.WhereBeyond,
		Summary:  fmt.Sprintf("the tunnel works; %s says: %s", who, says),
		Evidence: []evidence.Line{heard.Decides("ICMP type %d code %d (%s) from %s %s", icmpType, icmpCode, says, who, way)}}
	if code == diagnose.NeighborUnreachable {
		if own := f.nodeSays(e, who, heard, way); own != nil {
			return &ruling{*own, settled}
		}
		f.orNode(e, who, &v)
	}
	v.Checkpoint = innerICMPCheckpoint[code]
	switch code {
	case diagnose.ConnectionRefused:
		if f.Flow.Probe.Sent && f.Flow.Target.Port() != 0 && !f.Flow.UDP {
			// To TCP a host answers a closed port with a reset.
			v.Summary = fmt.Sprintf("the tunnel works; %s refuses the connection, by a firewall rule: it says %s, and not by a TCP reset", who, says)
			v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
			break
		}
		dst := f.Flow.Target.Addr().String()
		v.Fix = fix.Steps{fix.Note("on " + dst + ": see what listens"), fix.Check("ss -ulnp").On(dst)}
	case diagnose.NoRouteOnward:
		v.Fix = fix.Steps{fix.Note("on " + who + ":"), fix.Check("ip route get %s", f.Flow.Target.Addr()).On(who)}
	case diagnose.TTLExceeded:
		if l := f.lowered(); l != nil {
			lowered := loweredTTL(l, v.Checkpoint, "packets to "+f.target(), v.Evidence...)
			return &ruling{lowered, settled}
		}
		dst := f.Flow.Target.Addr()
		v.Fix = fix.Steps{fix.Note("on " + who + ": does the next hop send it back? Or does a rule set the TTL?"),
			fix.Check("ip route get %s", dst).On(who), fix.Check("nft list ruleset").On(who)}
	case diagnose.NeighborUnreachable:
		v.Fix = append(fix.Steps{fix.Note("on " + who + ": is the destination up, and on that link?"),
			fix.Check("ip neighbour show %s", f.Flow.Target.Addr()).On(who)}, v.Fix...)
	case diagnose.ForwardFirewall:
		v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
	}
	return &ruling{v, settled}
}

// nothingListens is the verdict where this host's kernel says that it has no socket for the
// packet: no firewall has anything to do with it.
func (f facts) nothingListens(d *evidence.KernelDrop, heard evidence.Line) diagnose.Verdict {
	return diagnose.Verdict{Code: diagnose.ConnectionRefused, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("the tunnel works; nothing listens at %s, which is this host's own", f.target()),
		Evidence: []evidence.Line{heard, evidence.Kernel.Decides("%s", d)},
		Fix:      fix.Steps{fix.Note("start the service, or see what listens:"), fix.Check("ss -tlnp")}}
}

// rejectedOnTheWay reports whether a port is said to be unreachable by another host than
// the one whose port it is: only a firewall rule there does that ("reject").
func (f facts) rejectedOnTheWay(e *probe.Event, who netip.Addr) bool {
	code, _ := innerICMP(e)
	return code == diagnose.ConnectionRefused && who.Unmap() != f.Flow.Target.Addr().Unmap()
}

// wayRejects is the verdict about such a rule. A translation that leaves the source of
// ICMP errors as it is would look the same for UDP; to TCP the destination itself would
// have answered with a reset.
func (f facts) wayRejects(e *probe.Event, who string, heard evidence.Known, way string) diagnose.Verdict {
	v := diagnose.Verdict{Code: diagnose.ForwardFirewall, Checkpoint: probe.B5, Where: diagnose.WhereBeyond,
		Summary: fmt.Sprintf("the tunnel works; a firewall rule on %s, which is not the destination, rejects the packet: "+
			"it says port unreachable", who),
		Fix: fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}}
	icmpType, icmpCode, _ := e.ICMP()
	said := heard.Decides("ICMP type %d code %d (port unreachable) from %s %s", icmpType, icmpCode, who, way)
	if proto, _, _, quoted := e.Quoted(); quoted && proto == probe.ProtoTCP {
		v.Evidence = []evidence.Line{said}
		return v
	}
	dst := f.Flow.Target.Addr().String()
	v.Evidence = []evidence.Line{said, evidence.Inferred.Decides("%s is not %s, whose port it is about", who, dst)}
	v.Candidates = []diagnose.Candidate{
		{Code: diagnose.ForwardFirewall, Check: fmt.Sprintf("on %s: nft list ruleset", who)},
		{Code: diagnose.ConnectionRefused, Check: fmt.Sprintf("on %s: ss -ulnp; %s may be another address of it", dst, who)}}
	return v
}

var innerICMPCheckpoint = map[diagnose.Code]probe.Checkpoint{
	diagnose.NoRouteOnward: probe.B5, diagnose.ForwardFirewall: probe.B5, diagnose.NeighborUnreachable: probe.B6,
	diagnose.TTLExceeded: probe.B5, diagnose.NoReplyFromDestination: probe.B6,
}

// innerICMP reads an ICMP error that came back inside the tunnel.
func innerICMP(e *probe.Event) (diagnose.Code, string) {
	typ, code, _ := e.ICMP()
	v6 := e.Proto == probe.ProtoICMPv6
	switch probe.ICMPReason(v6, typ, code) {
	case probe.ICMPPortUnreachable:
		return diagnose.ConnectionRefused, "port unreachable"
	case probe.ICMPProhibited:
		return diagnose.ForwardFirewall, "administratively prohibited"
	case probe.ICMPNetUnreachable:
		return diagnose.NoRouteOnward, "network unreachable"
	}
	if unreachable := v6 && typ == 1 || !v6 && typ == 3; unreachable {
		return diagnose.NeighborUnreachable, "host unreachable"
	}
	if code == 0 {
		return diagnose.TTLExceeded, "time exceeded in transit: the packet goes in circles, or had too low a TTL"
	}
	return diagnose.NoReplyFromDestination, "time exceeded in reassembly: a fragment of the packet was lost"
}

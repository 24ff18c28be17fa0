package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges what becomes of a flow that a node without an interface passes on
// by sockets of its host: B5 and B6.

// routerRefuses: the flow may not pass, or the network says that it cannot.
func (f facts) routerRefuses(time.Time) *ruling {
	e := f.Flow.Dropped
	if f.Router == nil || e == nil || e.Seam != probe.SeamForward {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Checkpoint: e.Checkpoint, Where: diagnose.WhereHere}
	tried := evidence.Kernel.Decides("a socket of this host tried to reach %s for %s and got: %s", f.target(), f.Peer.Label(), e.Reason)
	switch {
	case e.Reason == probe.ICMPProhibited && f.Flow.Seen[probe.B5] == nil && len(f.Router.Allow) == 0:
		v.Code = diagnose.ForwardingDisabled
		v.Summary = fmt.Sprintf("%s is not this node's own, and this node lets peers reach nothing beyond itself", dst)
		v.Evidence = []evidence.Line{evidence.Kernel.Decides("[route] of its configuration allows nothing, and there is no " +
			"interface from which the kernel would forward")}
		v.Fix = f.allow(e)
	case e.Reason == probe.ICMPProhibited && f.Flow.Seen[probe.B5] == nil:
		v.Code = diagnose.ForwardFirewall
		v.Summary = fmt.Sprintf("this node does not let peers reach %s", f.target())
		v.Evidence = []evidence.Line{evidence.Kernel.Decides("what they may reach: %s", strings.Join(f.Router.Allow, ", "))}
		v.Fix = f.allow(e)
	case e.Reason == probe.ICMPProhibited:
		v.Code = diagnose.ForwardFirewall
		v.Summary = fmt.Sprintf("this host does not let its own programs send to %s", f.target())
		v.Evidence = []evidence.Line{tried}
		v.Fix = fix.Steps{fix.Note("look for a rule that drops it in the output hook"), fix.Check("nft list ruleset")}
	case e.Reason == probe.ICMPNetUnreachable:
		v.Code = diagnose.NoRouteOnward
		v.Summary = fmt.Sprintf("this host has no route to %s", dst)
		v.Evidence = []evidence.Line{tried}
		v.Fix = fix.Steps{fix.Check("ip route get %s", dst)}
	default:
		v.Code, v.Where = diagnose.NeighborUnreachable, diagnose.WhereBeyond
		v.Summary = fmt.Sprintf("%s cannot be reached from this host: it does not answer to its address, or a router says so", dst)
		v.Evidence = []evidence.Line{tried}
		v.Fix = fix.Steps{fix.Note("is it up?"), fix.Check("ip route get %s", dst), fix.Check("ip neighbour show %s", dst)}
	}
	return final(v)
}

// allow are the lines of a configuration that let the flow pass, whose packet e was
// refused, and nothing else.
func (f facts) allow(e *probe.Event) fix.Steps {
	route := hostPrefix(f.Flow.Target.Addr()).String()
	if port := f.Flow.Target.Port(); port != 0 {
		if f.Flow.Target.Addr().Is6() {
			route = "[" + route + "]"
		}
		route += fmt.Sprintf(":%d", port)
		switch e.Proto {
		case probe.ProtoTCP:
			route = "tcp:" + route
		case probe.ProtoUDP:
			route = "udp:" + route
		}
	}
	in := fix.Where{File: "wgnode.toml", Section: "route"}
	return fix.Steps{fix.Notef("if it is to, in its %s:", in.File), fix.Heading(in),
		fix.Config(in, "allow", strings.Join(append(slices.Clone(f.Router.Allow), route), ", ")),
		fix.Note("or, with a file of wg-quick's, as a flag of wgnode run:"), fix.Config(fix.Where{}, "--route-for-peers", route)}
}

// routerWaits: a socket of this host has sent the request on, and nothing has come
// back.
func (f facts) routerWaits(now time.Time) *ruling {
	b5 := f.Flow.Seen[probe.B5]
	if f.Router == nil || b5 == nil || f.Flow.Seen[probe.B6] != nil {
		return nil
	}
	dst := f.Flow.Target.Addr()
	return &ruling{diagnose.Verdict{Code: diagnose.NoReplyFromDestination, Checkpoint: probe.B6, Where: diagnose.WhereBeyond,
		Summary: fmt.Sprintf("a socket of this host has sent on what %s sends to %s, and nothing comes back", f.Peer.Label(), f.target()),
		Evidence: []evidence.Line{
			evidence.Kernel.Says("sent on %s ago, with this host's own address for its source", probe.Brief(now.Sub(b5.When()))),
			evidence.Inferred.Decides("no answer has come back to that socket")},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.NoReplyFromDestination,
				"on %s, tcpdump -ni any shows whether it arrives: its firewall, or nothing listens", dst),
			diagnose.Maybe(diagnose.ForwardFirewall, "a firewall of this host or on the path drops it: nft list ruleset, here first"),
		},
		Fix: fix.Steps{fix.Note("see whether the request leaves this host, and an answer comes:"), fix.Check("tcpdump -ni any host %s", dst)}},
		now.Sub(f.Since) > noReplyAfter && now.Sub(b5.When()) > answerTime}
}

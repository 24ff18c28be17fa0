package rules

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// table holds all rules. They are asked one after the other, and the first that finds
// something has the verdict: in the order in which a packet passes the checkpoints,
// except that success comes first, and what was observed comes before what is only
// missing. What a rule is after is what makes that order; its place in the table decides
// only between rules that cannot both find something.
var table = []rule{
	// Success, and answers that say no.
	{name: "large packets vanish", codes: codes(diagnose.MTUBlackhole), at: at(probe.A5), views: asA,
		find: facts.blackhole},
	{name: "answered", codes: codes(diagnose.Healthy), at: at(probe.CheckpointNone), views: asA,
		after: names("large packets vanish"), find: facts.answered},
	{name: "another's packet answered", codes: codes(diagnose.Healthy), at: at(probe.CheckpointNone), views: asA,
		after: names("answered"), find: facts.overheard},
	{name: "answer sent", codes: codes(diagnose.Healthy), at: at(probe.CheckpointNone), views: asB,
		find: facts.replied},
	{name: "not routed by the node", views: asB, at: at(probe.B5, probe.B6),
		codes: codes(diagnose.ForwardFirewall, diagnose.ForwardingDisabled, diagnose.NoRouteOnward, diagnose.NeighborUnreachable),
		after: names("answer sent"), find: facts.routerRefuses},
	{name: "refused by this host", views: asB, at: at(probe.B5, probe.B6, probe.B7),
		codes: codes(diagnose.ForwardFirewall, diagnose.InputFirewall, diagnose.ReversePathFilter, diagnose.NoRouteOnward,
			diagnose.ForwardingDisabled, diagnose.NeighborUnreachable),
		after: names("not routed by the node"), find: facts.rejected},
	{name: "answer says no", views: asA | asB, at: at(probe.CheckpointNone, probe.B5, probe.B6),
		codes: codes(diagnose.ConnectionRefused, diagnose.ForwardFirewall, diagnose.NoRouteOnward, diagnose.NeighborUnreachable,
			diagnose.NoReplyFromDestination),
		after: names("another's packet answered", "refused by this host"), find: facts.refused},

	// Up to the tunnel.
	{name: "no peer for the destination", codes: codes(diagnose.NoAllowedIPsMatch), at: at(probe.A1), views: asA,
		after: names("answer says no"), find: facts.noMatch},
	{name: "dropped before the tunnel", codes: codes(diagnose.OutputFirewall), at: at(probe.A1), views: asA,
		after: names("no peer for the destination"), find: facts.outputDropped},
	{name: "not routed into the tunnel", codes: codes(diagnose.RouteBypassesTunnel, diagnose.DestNotRouted), at: at(probe.A1), views: asA,
		after: names("dropped before the tunnel"), find: facts.notRouted},
	{name: "rewritten past the tunnel", codes: codes(diagnose.RouteBypassesTunnel), at: at(probe.A1), views: asA,
		after: names("not routed into the tunnel"), find: facts.diverted},

	// Who has the peer's key. Of a flow the latest initiation says more, of a peer what
	// its packets say.
	{name: "no private key", codes: codes(diagnose.NoPrivateKey), at: at(probe.A2), views: asA | peers,
		after: names("rewritten past the tunnel"), find: facts.noPrivateKey},
	{name: "initiator is not a peer", codes: codes(diagnose.UnknownPeer, diagnose.WrongPublicKey), at: at(probe.B2), views: asB,
		after: names("answer says no"), find: facts.strangers},
	{name: "initiation replayed", codes: codes(diagnose.HandshakeReplay), at: at(probe.B2), views: asB,
		after: names("initiator is not a peer"), find: facts.replayed},
	{name: "endpoint flips", codes: codes(diagnose.SharedKey), at: at(probe.CheckpointNone), views: asB | peers,
		after: names("initiation replayed", "no private key"), find: facts.sharedKey},
	{name: "source not allowed", codes: codes(diagnose.DisallowedSource), at: at(probe.B4, probe.A6), views: asB | peers,
		after: names("endpoint flips"), find: facts.sourceDisallowed},
	{name: "initiations of a peer replayed", codes: codes(diagnose.HandshakeReplay), at: at(probe.B2), views: peers,
		after: names("source not allowed"), find: facts.replayed},

	// Out to the network.
	{name: "no endpoint", codes: codes(diagnose.NoEndpoint, diagnose.EndpointUnresolved), at: at(probe.A2), views: asA | peers,
		after: names("no private key", "initiations of a peer replayed"), find: facts.noEndpoint},
	{name: "endpoint routed into the tunnel", codes: codes(diagnose.EndpointInTunnel), at: at(probe.A2), views: asA | peers,
		after: names("no endpoint"), find: facts.endpointInTunnel},
	{name: "endpoint not routed", codes: codes(diagnose.EndpointNotRouted), at: at(probe.A2), views: asA | peers,
		after: names("no endpoint"), find: facts.endpointNotRouted},
	{name: "answers leave elsewhere", codes: codes(diagnose.ReplyLeavesElsewhere), at: at(probe.B2), views: asB,
		after: names("source not allowed"), find: facts.replyElsewhere},
	{name: "socket refuses", views: asA | asB | peers, at: at(probe.A2, probe.A4, probe.B2, probe.B8),
		codes: codes(diagnose.UnderlayOutputFirewall, diagnose.EndpointNotRouted),
		after: names("endpoint routed into the tunnel", "endpoint not routed", "answers leave elsewhere"), find: facts.cannotSend},
	{name: "dropped on the way out", views: asA | asB | peers, at: at(probe.A2, probe.A4, probe.B2, probe.B8),
		codes: codes(diagnose.UnderlayOutputFirewall),
		after: names("socket refuses"), find: facts.wireOutDropped},

	// Behind the tunnel, on the side that is asked.
	{name: "initiated again and again", codes: codes(diagnose.ResponseNotAccepted), at: at(probe.B3), views: asB,
		after: names("dropped on the way out"), find: facts.responseNotAccepted},
	{name: "not forwarded", views: asB, at: at(probe.B5, probe.B7),
		codes: codes(diagnose.ForwardFirewall, diagnose.InputFirewall, diagnose.ReversePathFilter, diagnose.NoRouteOnward,
			diagnose.ForwardingDisabled),
		after: names("initiated again and again"), find: facts.forwarded},
	{name: "not returned", views: asB, at: at(probe.B7),
		codes: codes(diagnose.ReturnFirewall, diagnose.ReversePathFilter, diagnose.ForwardingDisabled, diagnose.ReturnRouteWrong),
		after: names("not forwarded"), find: facts.returned},
	{name: "neighbor silent", codes: codes(diagnose.NeighborUnreachable), at: at(probe.B6), views: asB,
		after: names("not returned"), find: facts.neighborSilent},
	{name: "no answer behind this host", codes: codes(diagnose.NoReplyFromDestination), at: at(probe.B6), views: asB,
		after: names("neighbor silent"), find: facts.noAnswerBehind},
	{name: "no answer to the node", codes: codes(diagnose.NoReplyFromDestination), at: at(probe.B6), views: asB,
		after: names("no answer behind this host"), find: facts.routerWaits},
	{name: "no answer here", codes: codes(diagnose.NoReplyFromDestination), at: at(probe.B7), views: asB,
		after: names("no answer to the node"), find: facts.noAnswerHere},

	// Back from the network. On the side that is asked, what has come as far as the
	// destination needs no explanation there.
	{name: "response not decrypted", codes: codes(diagnose.PSKMismatch), at: at(probe.A3), views: asA | peers,
		after: names("dropped on the way out"), find: facts.pskMismatch},
	{name: "dropped on the way in", views: asA | asB | peers, at: at(probe.A3, probe.A5, probe.B2, probe.B3),
		codes: codes(diagnose.UnderlayInputFirewall),
		after: names("response not decrypted", "no answer here"), find: facts.wireInDropped},
	{name: "filtered on the way in", codes: codes(diagnose.ReversePathFilter), at: at(probe.A3, probe.B2), views: asA | asB | peers,
		after: names("dropped on the way in"), find: facts.wireInFiltered},
	{name: "refused on the way in", views: asA | asB | peers, at: at(probe.A3, probe.A5, probe.B2, probe.B3),
		codes: codes(diagnose.UnderlayInputFirewall),
		after: names("filtered on the way in"), find: facts.wireInRefused},
	{name: "ICMP error", codes: codes(diagnose.EndpointPortClosed, diagnose.EndpointProhibited, diagnose.EndpointUnreachable),
		at: at(probe.A3), views: asA | peers,
		after: names("refused on the way in"), find: facts.icmpSays},
	{name: "source of the reply not allowed", codes: codes(diagnose.DisallowedSource), at: at(probe.A6), views: asA,
		after: names("ICMP error"), find: facts.replyDisallowed},
	{name: "reply dropped behind the tunnel", codes: codes(diagnose.InputFirewall, diagnose.ReversePathFilter), at: at(probe.A6), views: asA,
		after: names("source of the reply not allowed"), find: facts.innerInDropped},

	// What is only missing.
	{name: "no response", codes: codes(diagnose.NoResponse), at: at(probe.A3), views: asA | peers,
		after: names("reply dropped behind the tunnel", "ICMP error"), find: facts.noResponse},
	{name: "reply not delivered", codes: codes(diagnose.InputFirewall), at: at(probe.A6), views: asA,
		after: names("no response"), find: facts.notDelivered},
	{name: "no reply", codes: codes(diagnose.NoReply), at: at(probe.A5), views: asA,
		after: names("reply not delivered"), find: facts.noReply},
	{name: "not entered", codes: codes(diagnose.OutputFirewall), at: at(probe.A1), views: asA,
		after: names("no reply"), find: facts.notEntered},
	{name: "peer initiates again and again", codes: codes(diagnose.ResponseNotAccepted), at: at(probe.B3), views: peers,
		after: names("no response"), find: facts.responseNotAccepted},
	{name: "session up", codes: codes(diagnose.Healthy), at: at(probe.CheckpointNone), views: peers,
		after: names("peer initiates again and again"), find: facts.alive},
}

func codes(c ...diagnose.Code) []diagnose.Code      { return c }
func at(cps ...probe.Checkpoint) []probe.Checkpoint { return cps }
func names(n ...string) []string                    { return n }

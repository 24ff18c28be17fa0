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
	{name: "large packets vanish", views: asA, find: facts.blackhole,
		finds: finds{diagnose.MTUBlackhole: {probe.A5}}},
	{name: "answered", views: asA, after: names("large packets vanish"), find: facts.answered,
		finds: finds{diagnose.Healthy: {probe.CheckpointNone}}},
	{name: "another's packet answered", views: asA, after: names("answered"), find: facts.overheard,
		finds: finds{diagnose.Healthy: {probe.CheckpointNone}}},
	{name: "answer sent", views: asB, find: facts.replied,
		finds: finds{diagnose.Healthy: {probe.CheckpointNone}}},
	{name: "dropped by the tunnel here", views: asA | asB, after: names("another's packet answered", "answer sent"), find: facts.droppedHere,
		finds: finds{diagnose.NoAllowedIPsMatch: {probe.A1}, diagnose.NoEndpoint: {probe.A2}, diagnose.EndpointUnresolved: {probe.A2}}},
	{name: "sent back", views: asA | asB, after: names("dropped by the tunnel here"), find: facts.sentBack,
		finds: finds{diagnose.NoRouteOnward: {probe.B5}}},
	{name: "not routed by the node", views: asB, after: names("sent back"), find: facts.routerRefuses,
		finds: finds{diagnose.ForwardFirewall: {probe.B5, probe.B6}, diagnose.ForwardingDisabled: {probe.B5},
			diagnose.NoRouteOnward: {probe.B5, probe.B6}, diagnose.NeighborUnreachable: {probe.B5, probe.B6}}},
	{name: "refused by this host", views: asB, after: names("not routed by the node"), find: facts.rejected,
		finds: finds{diagnose.ForwardFirewall: {probe.B5}, diagnose.InputFirewall: {probe.B7}, diagnose.ReversePathFilter: {probe.B5},
			diagnose.NoRouteOnward: {probe.B5}, diagnose.ForwardingDisabled: {probe.B5}, diagnose.NeighborUnreachable: {probe.B6},
			diagnose.LocalTableBypassed: {probe.B7},
			diagnose.TTLExceeded:        {probe.B5}}},
	{name: "answer says no", views: asA | asB, after: names("sent back", "refused by this host"), find: facts.refused,
		finds: finds{diagnose.ConnectionRefused: {probe.CheckpointNone}, diagnose.ForwardFirewall: {probe.B5},
			diagnose.NoRouteOnward: {probe.B5}, diagnose.NeighborUnreachable: {probe.B6}, diagnose.NoReplyFromDestination: {probe.B6},
			diagnose.TTLExceeded: {probe.B5}, diagnose.NoAllowedIPsMatch: {probe.B5}, diagnose.NoEndpoint: {probe.B5}}},

	// Up to the tunnel.
	{name: "no peer for the destination", views: asA, after: names("answer says no"), find: facts.noMatch,
		finds: finds{diagnose.NoAllowedIPsMatch: {probe.A1}}},
	{name: "dropped before the tunnel", views: asA, after: names("no peer for the destination"), find: facts.outputDropped,
		finds: finds{diagnose.OutputFirewall: {probe.A1}}},
	{name: "dropped by the kernel before the tunnel", views: asA, after: names("dropped before the tunnel"), find: facts.outputKernel,
		finds: kernelDrops(diagnose.OutputFirewall, nil, probe.A1)},
	{name: "not routed into the tunnel", views: asA, after: names("dropped by the kernel before the tunnel"), find: facts.notRouted,
		finds: finds{diagnose.RouteBypassesTunnel: {probe.A1}, diagnose.DestNotRouted: {probe.A1}}},
	{name: "rewritten past the tunnel", views: asA, after: names("not routed into the tunnel"), find: facts.diverted,
		finds: finds{diagnose.RouteBypassesTunnel: {probe.A1}}},

	// Who has the peer's key. Of a flow the latest initiation says more, of a peer what
	// its packets say.
	{name: "no private key", views: asA | peers, after: names("rewritten past the tunnel"), find: facts.noPrivateKey,
		finds: finds{diagnose.NoPrivateKey: {probe.A2}}},
	{name: "initiation replayed", views: asB, after: names("answer says no"), find: facts.replayed,
		finds: finds{diagnose.HandshakeReplay: {probe.B2}}},
	{name: "endpoint flips", views: asB | peers, after: names("initiation replayed", "no private key"), find: facts.sharedKey,
		finds: finds{diagnose.SharedKey: {probe.CheckpointNone}}},
	{name: "source not allowed", views: asB | peers, after: names("endpoint flips"), find: facts.sourceDisallowed,
		finds: finds{diagnose.DisallowedSource: {probe.B4, probe.A6}}},
	{name: "initiations of a peer replayed", views: peers, after: names("source not allowed"), find: facts.replayed,
		finds: finds{diagnose.HandshakeReplay: {probe.B2}}},

	// Out to the network.
	{name: "answers leave elsewhere", views: asB | peers, after: names("source not allowed", "initiations of a peer replayed"),
		find:  facts.replyElsewhere,
		finds: finds{diagnose.ReplyLeavesElsewhere: {probe.B2}}},
	{name: "no endpoint", views: asA | peers, after: names("no private key", "answers leave elsewhere"), find: facts.noEndpoint,
		finds: finds{diagnose.NoEndpoint: {probe.A2}, diagnose.EndpointUnresolved: {probe.A2}}},
	{name: "endpoint routed into the tunnel", views: asA | peers, after: names("no endpoint"), find: facts.endpointInTunnel,
		finds: finds{diagnose.EndpointInTunnel: {probe.A2}}},
	{name: "endpoint not routed", views: asA | peers, after: names("no endpoint"), find: facts.endpointNotRouted,
		finds: finds{diagnose.EndpointNotRouted: {probe.A2}}},
	{name: "dropped by the kernel on the way out", views: asA | asB | peers, after: names("endpoint routed into the tunnel",
		"endpoint not routed", "answers leave elsewhere"), find: facts.wireOutKernel,
		finds: kernelDrops(diagnose.UnderlayOutputFirewall, codes(diagnose.MTUBlackhole), probe.A2, probe.A4, probe.B2, probe.B8)},
	{name: "socket refuses", views: asA | asB | peers, after: names("dropped by the kernel on the way out"), find: facts.cannotSend,
		finds: finds{diagnose.UnderlayOutputFirewall: {probe.A2, probe.A4, probe.B2, probe.B8},
			diagnose.BPFDrop: {probe.A2, probe.A4, probe.B2, probe.B8}, diagnose.EndpointNotRouted: {probe.A2, probe.A4, probe.B2, probe.B8},
			diagnose.EndpointUnreachable: {probe.A2, probe.A4, probe.B2, probe.B8}}},
	{name: "dropped on the way out", views: asA | asB | peers, after: names("socket refuses"), find: facts.wireOutDropped,
		finds: finds{diagnose.UnderlayOutputFirewall: {probe.A2, probe.A4, probe.B2, probe.B8}}},

	// Behind the tunnel, on the side that is asked.
	{name: "initiated again and again", views: asB, after: names("dropped on the way out"), find: facts.responseNotAccepted,
		finds: finds{diagnose.ResponseNotAccepted: {probe.B3}}},
	{name: "not forwarded", views: asB, after: names("initiated again and again"), find: facts.forwarded,
		finds: finds{diagnose.ForwardFirewall: {probe.B5}, diagnose.InputFirewall: {probe.B7}, diagnose.ReversePathFilter: {probe.B5},
			diagnose.NoRouteOnward: {probe.B5}, diagnose.ForwardingDisabled: {probe.B5}, diagnose.LocalTableBypassed: {probe.B7},
			diagnose.TTLExceeded: {probe.B5}}},
	{name: "dropped by the kernel behind the tunnel", views: asB, after: names("not forwarded"), find: facts.behindKernel,
		finds: kernelDrops(diagnose.ForwardFirewall, codes(diagnose.InputFirewall, diagnose.ReversePathFilter, diagnose.NoRouteOnward,
			diagnose.ForwardingDisabled, diagnose.TTLExceeded, diagnose.MTUBlackhole), probe.B5, probe.B7)},
	{name: "not returned", views: asB, after: names("dropped by the kernel behind the tunnel"), find: facts.returned,
		finds: finds{diagnose.ReturnFirewall: {probe.B7}, diagnose.ReversePathFilter: {probe.B7},
			diagnose.ForwardingDisabled: {probe.B7}, diagnose.ReturnRouteWrong: {probe.B7}}},
	{name: "dropped by the kernel on its way back", views: asB, after: names("not returned"), find: facts.returnKernel,
		finds: kernelDrops(diagnose.ReturnFirewall, codes(diagnose.ReversePathFilter, diagnose.ForwardingDisabled,
			diagnose.ReturnRouteWrong, diagnose.TTLExceeded), probe.B7)},
	{name: "neighbor silent", views: asB, after: names("dropped by the kernel on its way back"), find: facts.neighborSilent,
		finds: finds{diagnose.NeighborUnreachable: {probe.B6}}},
	{name: "no answer behind this host", views: asB, after: names("neighbor silent"), find: facts.noAnswerBehind,
		finds: finds{diagnose.NoReplyFromDestination: {probe.B6}, diagnose.ProxyARPMissing: {probe.B6}}},
	{name: "no answer to the node", views: asB, after: names("no answer behind this host"), find: facts.routerWaits,
		finds: finds{diagnose.NoReplyFromDestination: {probe.B6}}},
	{name: "no answer here", views: asB, after: names("no answer to the node"), find: facts.noAnswerHere,
		finds: finds{diagnose.NoReplyFromDestination: {probe.B7}}},

	// Back from the network. On the side that is asked, what has come as far as the
	// destination needs no explanation there.
	{name: "response not decrypted", views: asA | peers, after: names("dropped on the way out"), find: facts.pskMismatch,
		finds: finds{diagnose.PSKMismatch: {probe.A3}}},
	{name: "dropped on the way in", views: asA | asB | peers, after: names("response not decrypted", "no answer here"),
		find:  facts.wireInDropped,
		finds: finds{diagnose.UnderlayInputFirewall: {probe.A3, probe.A5, probe.B2, probe.B3}}},
	{name: "filtered on the way in", views: asA | asB | peers, after: names("dropped on the way in"), find: facts.wireInFiltered,
		finds: finds{diagnose.ReversePathFilter: {probe.A3, probe.B2}, diagnose.LocalTableBypassed: {probe.A3, probe.A5, probe.B2, probe.B3}}},
	{name: "refused on the way in", views: asA | asB | peers, after: names("filtered on the way in"), find: facts.wireInRefused,
		finds: finds{diagnose.UnderlayInputFirewall: {probe.A3, probe.A5, probe.B2, probe.B3}}},
	{name: "dropped by the kernel on the way in", views: asA | asB | peers, after: names("refused on the way in"), find: facts.wireInKernel,
		finds: kernelDrops(diagnose.UnderlayInputFirewall, codes(diagnose.ReversePathFilter), probe.A3, probe.A5, probe.B2, probe.B3)},
	{name: "ICMP error", views: asA | peers, after: names("dropped by the kernel on the way in"), find: facts.icmpSays,
		finds: finds{diagnose.EndpointPortClosed: {probe.A3}, diagnose.EndpointProhibited: {probe.A3},
			diagnose.EndpointUnreachable: {probe.A3}, diagnose.TTLExceeded: {probe.A3}}},
	{name: "source of the reply not allowed", views: asA, after: names("ICMP error"), find: facts.replyDisallowed,
		finds: finds{diagnose.DisallowedSource: {probe.A6}}},
	{name: "reply dropped behind the tunnel", views: asA, after: names("source of the reply not allowed"), find: facts.innerInDropped,
		finds: finds{diagnose.InputFirewall: {probe.A6}, diagnose.ReversePathFilter: {probe.A6}, diagnose.LocalTableBypassed: {probe.A6}}},
	{name: "reply dropped by the kernel", views: asA, after: names("reply dropped behind the tunnel"), find: facts.innerInKernel,
		finds: kernelDrops(diagnose.InputFirewall, codes(diagnose.ReversePathFilter), probe.A6)},

	// What is only missing.
	{name: "no response", views: asA | peers, after: names("reply dropped by the kernel", "ICMP error"), find: facts.noResponse,
		finds: finds{diagnose.NoResponse: {probe.A3}, diagnose.PSKMismatch: {probe.A3}}},
	{name: "reply not delivered", views: asA, after: names("no response"), find: facts.notDelivered,
		finds: finds{diagnose.InputFirewall: {probe.A6}}},
	{name: "no reply", views: asA, after: names("reply not delivered"), find: facts.noReply,
		finds: finds{diagnose.NoReply: {probe.A5}}},
	{name: "not entered", views: asA, after: names("no reply"), find: facts.notEntered,
		finds: finds{diagnose.OutputFirewall: {probe.A1}, diagnose.BPFDrop: {probe.A1}}},
	{name: "peer initiates again and again", views: peers, after: names("no response"), find: facts.responseNotAccepted,
		finds: finds{diagnose.ResponseNotAccepted: {probe.B3}}},
	{name: "session up", views: peers, after: names("peer initiates again and again"), find: facts.alive,
		finds: finds{diagnose.Healthy: {probe.CheckpointNone}}},
	// What may be the peer's, where nothing is known to be.
	{name: "claimed on the way in", views: asA | asB | peers, after: names("not entered", "session up", "dropped by the kernel on the way in"),
		find:  facts.wireInClaimed,
		finds: kernelDrops(diagnose.UnderlayInputFirewall, codes(diagnose.ReversePathFilter), probe.A3, probe.A5, probe.B2, probe.B3)},

	// What takes the facts of both hosts is found by package twosided.
	{name: "initiator is not a peer", finds: finds{diagnose.UnknownPeer: {probe.B2}, diagnose.WrongPublicKey: {probe.B2}}},
	{name: "lost between two hosts", finds: finds{diagnose.LostOnPath: {probe.B1, probe.A3, probe.B3, probe.A5}}},
}

// kernelDrops are the verdicts on what the kernel says that it has dropped: a firewall's, one
// that the reason has anywhere, or one of those that it has there.
func kernelDrops(firewall diagnose.Code, there []diagnose.Code, at ...probe.Checkpoint) finds {
	f := make(finds)
	for _, c := range append(codes(firewall, diagnose.BPFDrop, diagnose.QueueFull, diagnose.SocketBufferFull, diagnose.Checksum,
		diagnose.IPv6Disabled), there...) {
		f[c] = at
	}
	return f
}

func codes(c ...diagnose.Code) []diagnose.Code { return c }

func names(n ...string) []string { return n }

package rules

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
)

// This file judges what lies between the two tunnel ends, as the side that
// wants to send sees it: A2 and A3.

// noResponseAfter is how long after its first initiation a handshake without
// any answer counts as failed: long enough for the second attempt, which
// follows after 5 s and up to a third of one (RekeyTimeout), to be answered.
const noResponseAfter = 7 * time.Second

// noPrivateKey: the device calls all the same, by a key that no peer has.
func (f facts) noPrivateKey(now time.Time) *ruling {
	if !f.PublicKey.IsZero() || f.Peer.Handshake.Alive(now) || f.Flow != nil && f.Flow.Seen[probe.A4] != nil {
		return nil
	}
	return final(diagnose.Verdict{Code: diagnose.NoPrivateKey, Checkpoint: probe.A2, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("%s has no private key: no peer can accept its handshakes", f.Interface),
		Evidence: []evidence.Line{evidence.Kernel.Decides("the device has no private key")},
		Fix: slices.Concat(fix.Steps{fix.Notef("make a key, set it as PrivateKey in %s, then reload:", f.ownSection()),
			fix.Command("wgnode genkey")}, f.apply(), fix.Steps{
			fix.Note("the peers need its public key, which is shown by:"), fix.Check("wg show %s public-key", f.Interface)})})
}

func (f facts) noEndpoint(now time.Time) *ruling {
	p := f.Peer
	if p.Endpoint.IsValid() || p.Written == "" && p.NoEndpoint == nil && (f.Flow == nil || p.Handshake.Alive(now)) {
		return nil
	}
	if p.Resolve != "" {
		return final(diagnose.Verdict{Code: diagnose.EndpointUnresolved, Checkpoint: probe.A2, Where: diagnose.WhereHere,
			Summary:  fmt.Sprintf("the endpoint of %s, %s, does not resolve", p.Label(), p.Written),
			Evidence: []evidence.Line{evidence.Kernel.Decides("last try: %s", p.Resolve)},
			Fix: fix.Steps{fix.Note("does the name exist, and does this host's resolver answer?"),
				fix.Check("getent ahosts %s", hostOf(p.Written))}})
	}
	v := diagnose.Verdict{Code: diagnose.NoEndpoint, Checkpoint: probe.A2, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("%s has no endpoint: only the peer can initiate", p.Label()),
		Evidence: []evidence.Line{evidence.Kernel.Decides("no Endpoint is configured, and none was learned from a packet")},
		Fix: fix.Steps{
			fix.Notef("if it has a fixed address, in %s:", f.sectionOf(p)),
			fix.Config(f.sectionOf(p), "Endpoint", "HOST:PORT"),
			fix.Notef("else let it call in: on %s, in the [Peer] with public key %s:", p.Label(), f.PublicKey),
			fix.Config(fix.Where{Host: p.Label(), Section: "Peer", Peer: f.PublicKey.String()}, "PersistentKeepalive", "25")}}
	if p.Written != "" {
		v.Evidence[0] = evidence.Kernel.Decides("the device has none, and none was learned from a packet; the configuration has %s", p.Written)
		v.Fix = fix.Steps{fix.Note("does it resolve?"), fix.Check("getent ahosts %s", hostOf(p.Written))}
		if len(f.Unapplied) == 0 {
			v.Fix = append(v.Fix, append(fix.Steps{fix.Note("then apply the configuration:")}, f.apply()...)...)
		}
	}
	if p.NoEndpoint != nil {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("a packet for it was dropped, and its sender got ICMP host unreachable"))
	}
	return final(v)
}

// refusedHere reports whether this host itself has refused a message to the peer since the latest
// handshake, so that this does not show that its route is of no consequence.
func refusedHere(p *diagnose.Peer) bool {
	return p.SendErrno != 0 || p.ICMP != nil && p.ICMPHere
}

func (f facts) endpointInTunnel(time.Time) *ruling {
	p := f.Peer
	if p.Handshake.EstablishedNow && !refusedHere(p) || p.Route.Kind != evidence.RouteFound || p.Route.Interface != f.Interface {
		return nil
	}
	ep := p.Endpoint.Addr()
	v := diagnose.Verdict{Code: diagnose.EndpointInTunnel, Checkpoint: probe.A2, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("the route to the endpoint of %s, %s, leads into the tunnel itself", p.Label(), ep),
		Evidence: []evidence.Line{evidence.Kernel.Decides("ip route get %s%s: %s", ep, f.markText(), p.Route.Describe())},
		Fix:      diagnose.PastTunnel(&p.Route, ep)}
	return final(v)
}

func (f facts) endpointNotRouted(time.Time) *ruling {
	p := f.Peer
	if p.Handshake.EstablishedNow && !refusedHere(p) || p.Route.Kind == evidence.RouteUnknown || p.Route.Kind == evidence.RouteFound {
		return nil
	}
	ep := p.Endpoint.Addr()
	v := diagnose.Verdict{Code: diagnose.EndpointNotRouted, Checkpoint: probe.A2, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("this host has no route to the endpoint of %s, %s: %s", p.Label(), ep, p.Route.Kind),
		Evidence: []evidence.Line{evidence.Kernel.Decides("ip route get %s%s: %s", ep, f.markText(), p.Route.Describe())},
		Fix: fix.Steps{fix.Note("is the uplink up, and does it have a default route?"),
			fix.Check("ip route get %s%s", ep, harmless.Raw(f.markText()))}}
	if p.Route.Kind != evidence.RouteNone && p.Route.Remove != "" {
		v.Fix = diagnose.RemoveRoute(&p.Route, f.elsewhere)
	}
	if p.SendErrno != 0 {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("sending failed: %v", p.SendErrno))
	}
	return final(v)
}

// cannotSend: the socket refuses, though there is a route.
func (f facts) cannotSend(now time.Time) *ruling {
	p := f.Peer
	if p == nil || p.SendErrno == 0 || f.Side == probe.SideB && !f.Since.IsZero() && p.SendError.When().Before(f.Since) {
		return nil
	}
	ep := p.Endpoint.String()
	d := f.Kernel.On(evidence.ToWire).Drop
	failed := evidence.Kernel.Decides("sending to %s failed: %v", ep, p.SendErrno)
	v := diagnose.Verdict{Checkpoint: f.sentAt(d), Where: diagnose.WhereHere, Evidence: []evidence.Line{failed}}
	switch {
	case (p.SendErrno == syscall.EPERM || p.SendErrno == syscall.ENOBUFS) && d != nil:
		v = dropVerdict(diagnose.UnderlayOutputFirewall, v.Checkpoint, d, "the encrypted packets to "+ep)
		v.Evidence = append(v.Evidence, failed)
	case p.SendErrno == syscall.EPERM:
		v.Code = diagnose.UnderlayOutputFirewall
		v.Summary = fmt.Sprintf("this host refuses to send the encrypted packets to %s, %s", p.Label(), ep)
		v = f.notPermitted(v, evidence.ToWire, p.XfrmBlocks)
	case p.SendErrno == syscall.ENOBUFS: // a queue that is full, or what is behind all hooks
		v.Code = diagnose.UnderlayOutputFirewall
		v.Evidence[0].Decides = false // it does not say what drops them
		v.Summary = fmt.Sprintf("the device drops the encrypted packets to %s, %s: %v", p.Label(), ep, p.SendErrno)
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.UnderlayOutputFirewall, "nft list ruleset: is there a drop in an egress hook?"),
			diagnose.Maybe(diagnose.UnderlayOutputFirewall, "tc -s qdisc; tc filter show dev %s egress: do they drop?", p.Route.Interface)}
		v.Fix = fix.Steps{fix.Check("tc -s qdisc show dev %s", p.Route.Interface), fix.Check("nft list ruleset")}
	default:
		v = f.unsent(v)
	}
	// The kernel's account of what it refused, which names more, comes a little later.
	return &ruling{v, d != nil || !f.traced() || p.SendError == nil || now.Sub(p.SendError.When()) > time.Second}
}

func (f facts) pskMismatch(time.Time) *ruling {
	h := &f.Peer.Handshake
	if h.Rejected == 0 {
		return nil
	}
	p := f.Peer
	return final(diagnose.Verdict{Code: diagnose.PSKMismatch, Checkpoint: probe.A3, Where: diagnose.WherePeer,
		Summary: fmt.Sprintf("%s answers, but its response cannot be decrypted: the preshared keys differ", p.Label()),
		Evidence: []evidence.Line{
			evidence.Secret.Decides("response from %s to our latest initiation, made for our public key, and not accepted: it has our index, which "+
				"is seen on the path",
				f.outerSource(h.LastRejected)),
			evidence.Secret.Says("both ends have each other's public key right, or there would be no response")},
		Fix: fix.Steps{
			fix.Note("on both hosts, compare (one may have none):"),
			fix.Check("wg show %s preshared-keys", f.Interface),
			fix.Notef("then make them the same, in %s and on the other host:", f.sectionOf(p)),
			fix.Config(f.sectionOf(p), "PresharedKey", "...")}})
}

// icmpSays: a host on the way says why the datagram did not arrive. It quotes our
// message; what does not is a claim, see claimed.
func (f facts) icmpSays(now time.Time) *ruling {
	p := f.Peer
	e := p.ICMP
	if e == nil {
		return nil
	}
	from, _ := e.Outer()
	who, ep, in := from.Addr().String(), p.Endpoint.String(), f.sectionOf(p)
	v := diagnose.Verdict{Checkpoint: probe.A3, Where: diagnose.WherePath,
		Evidence: []evidence.Line{evidence.Secret.Decides("%s, the latest %s from %s, which quotes our message",
			probe.Count(p.ICMPs, "ICMP error"), icmpWords[e.Reason], who)}}
	switch e.Reason {
	case probe.ICMPPortUnreachable:
		v.Code, v.Where = diagnose.EndpointPortClosed, diagnose.WherePeer
		v.Summary = fmt.Sprintf("nothing answers for UDP at %s: no WireGuard listens there, or a firewall on that host rejects it", ep)
		v.Fix = fix.Steps{fix.Notef("on %s: is the interface up, and is its ListenPort %d?", p.Label(), p.Endpoint.Port()),
			fix.Check("wg show all listen-port").On(p.Label())}
		if !p.Learned { // else no port is written here
			v.Fix = append(v.Fix, fix.Note("else correct the port here"+in.InFile()+":"),
				fix.Config(in, "Endpoint", bracket(p.Endpoint.Addr())+":PORT"))
		}
		if from.Addr().IsValid() && from.Addr() != p.Endpoint.Addr() {
			v.Where = diagnose.WherePath
			v.Summary = fmt.Sprintf("%s says that the port of %s is closed; a firewall on the path can say so, too", who, ep)
			v.Evidence[0].Decides = false
			v.Candidates = []diagnose.Candidate{
				diagnose.Maybe(diagnose.EndpointProhibited, "on %s: nft list ruleset: is there a reject for UDP to %s?", who, ep),
				diagnose.Maybe(diagnose.EndpointPortClosed, "on %s: wg show all listen-port", p.Label())}
		}
		if p.Route.Local {
			v.Where = diagnose.WhereHere
			v.Summary = fmt.Sprintf("the endpoint of %s, %s, is an address of this host itself, where nothing listens for UDP", p.Label(), ep)
			v.Fix = f.rightEndpoint(p)
		}
	case probe.ICMPProhibited:
		v.Code = diagnose.EndpointProhibited
		v.Summary = fmt.Sprintf("%s prohibits packets to %s: by a firewall rule, or a prohibit route", who, ep)
		v.Fix = fix.Steps{fix.Note("on " + who + ": allow UDP to " + ep), fix.Check("nft list ruleset").On(who)}
	case probe.ICMPHostUnreachable, probe.ICMPNetUnreachable:
		v.Code = diagnose.EndpointUnreachable
		v.Summary = fmt.Sprintf("%s says that %s cannot be reached", who, p.Endpoint.Addr())
		if !from.Addr().IsValid() || p.ICMPHere || from.Addr() == p.Route.Source {
			v.Where = diagnose.WhereHere
			next := p.Endpoint.Addr()
			if p.Route.Gateway.IsValid() {
				next = p.Route.Gateway
			}
			v.Summary = fmt.Sprintf("%s does not answer on the link: it is the next hop towards %s", next, ep)
			v.Evidence = []evidence.Line{evidence.Kernel.Decides("%s, the latest %s, of this host itself: no neighbor answered",
				probe.Count(p.ICMPs, "ICMP error"), icmpWords[e.Reason])}
			v.Fix = fix.Steps{fix.Check("ip neighbour show %s", next)}
		} else {
			v.Fix = fix.Steps{fix.Note("on " + who + ":"), fix.Check("ip route get %s", p.Endpoint.Addr()).On(who)}
		}
	default:
		l := f.Kernel.On(evidence.ToWire).Lowered
		if l == nil || !timeExceeded(e) {
			return nil
		}
		return final(loweredTTL(l, probe.A3, "the encrypted packets to "+ep,
			evidence.Secret.Decides("ICMP time exceeded from %s, which quotes our message", who)))
	}
	f.otherAddresses(&v)
	if from.Addr() == p.Endpoint.Addr() {
		f.mapping(&v, now)
	}
	return final(v)
}

var icmpWords = map[probe.Reason]string{
	probe.ICMPPortUnreachable: "port unreachable",
	probe.ICMPHostUnreachable: "host unreachable",
	probe.ICMPNetUnreachable:  "network unreachable",
	probe.ICMPProhibited:      "administratively prohibited",
	probe.ICMPOther:           "error",
}

// noResponse is the general code: initiations leave and nothing comes back.
func (f facts) noResponse(now time.Time) *ruling {
	p := f.Peer
	h := &p.Handshake
	if h.Sent == 0 || f.Flow == nil && h.Sent < 2 || h.EstablishedNow && f.Flow != nil && h.Sent < 2 {
		return nil
	}
	first := p.Seen[probe.A2]
	settled := h.Sent >= 2 && first != nil && now.Sub(first.When()) >= noResponseAfter
	ep := p.Endpoint
	v := diagnose.Verdict{Code: diagnose.NoResponse, Checkpoint: probe.A3, Where: diagnose.WherePath,
		Summary:  fmt.Sprintf("%s does not answer handshakes at %s", p.Label(), ep),
		Evidence: []evidence.Line{evidence.Inferred.Decides("%s of 148 bytes left, nothing came back", probe.Count(h.Sent, "initiation"))},
	}
	if h.Cookies > 0 {
		v.Evidence = append(v.Evidence, evidence.Secret.Says("%d cookie replies came: the other end is reachable, and under load", h.Cookies))
	}
	if !h.Established.IsZero() {
		v.Evidence = append(v.Evidence, evidence.Authenticated.Says("the last handshake was completed %s ago",
			probe.Brief(now.Sub(h.Established))))
	}
	port := ep.Port()
	v.Candidates = []diagnose.Candidate{
		diagnose.Maybe(diagnose.NoResponse,
			"path or host firewall: on %s, tcpdump -ni any udp port %d shows whether the initiations arrive", p.Label(), port),
		diagnose.Maybe(diagnose.UnknownPeer,
			"on %s, wgnode doctor names the key; or: wg show all peers must list %s", p.Label(), f.PublicKey),
		diagnose.Maybe(diagnose.WrongPublicKey, "on %s, wg show all public-key must say %s", p.Label(), p.Key),
		diagnose.Maybe(diagnose.UnderlayInputFirewall,
			"on %s, nft list ruleset: does the input hook accept udp dport %d? And here, the answers, udp sport %d?",
			p.Label(), port, port),
		diagnose.Maybe(diagnose.ReplyLeavesElsewhere,
			"on %s, the same tcpdump shows answers of 92 bytes that do not arrive here: the path back", p.Label()),
	}
	f.workedBefore(&v, now)
	f.notTaken(&v)
	if p.Route.Local {
		v.Where = diagnose.WhereHere
		v.Summary = fmt.Sprintf("the endpoint of %s, %s, is an address of this host itself, and no program here forwards what is sent there",
			p.Label(), ep)
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("ip route get %s%s: %s", ep.Addr(), f.markText(), p.Route.Describe()))
		v.Fix = append(f.rightEndpoint(p),
			fix.Note("or check the program that forwards:"), fix.Check("ss -ulnp sport = :%d", ep.Port()))
		return &ruling{v, settled}
	}
	f.orClaimed(&v, now)
	f.claimed(&v)
	if f.Kernel.On(evidence.ToWire).Passed == "postrouting" && f.Kernel.On(evidence.FromWire).Packets == 0 {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("netfilter trace: they pass this host's rules, and no answer "+
			"came as far as prerouting"))
	}
	if len(v.Fix) == 0 {
		v.Fix = fix.Steps{fix.Notef("the far host knows; on %s:", p.Label()), fix.Check("wgnode doctor --for 15s").On(p.Label())}
	}
	f.otherAddresses(&v)
	f.mapping(&v, now)
	return &ruling{v, settled}
}

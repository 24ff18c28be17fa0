package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges what happens once there is a session: A4 to A6 as the side
// that asks sees it.

// replyDisallowed: the reply arrives, decrypts, and has a source that is not
// the peer's.
func (f facts) replyDisallowed(time.Time) *ruling {
	e := f.Peer.Disallowed
	if e == nil || f.Flow.Works() || f.allowedByNow() {
		return nil
	}
	src, dst := e.Inner()
	if !src.Addr().IsValid() {
		return nil // not known to be ours: see noReply
	}
	ours := src.Port() == f.Flow.Target.Port() && dst.Addr().IsValid()
	if a1 := f.Flow.Seen[probe.A1]; a1 != nil {
		from, _ := a1.Inner()
		ours = ours && dst.Addr() == from.Addr() && (f.Flow.Target.Port() == 0 || dst.Port() == from.Port())
	}
	if !ours {
		return nil
	}
	v := f.disallowed(e)
	v.Checkpoint = probe.A6
	return final(v)
}

// sourceDisallowed is the same as the side that is asked sees it.
func (f facts) sourceDisallowed(time.Time) *ruling {
	if f.Peer == nil || f.Peer.Disallowed == nil || f.allowedByNow() {
		return nil
	}
	src, dst := f.Peer.Disallowed.Inner()
	known := src.Addr().IsValid()
	switch {
	case !known && (f.Flow == nil || f.Flow.Seen[probe.B4] != nil):
		return nil // it may be what hosts send by themselves, which nobody misses
	case known && f.Flow != nil && !f.Flow.Toward(dst):
		return nil // another packet's
	}
	r := final(f.disallowed(f.Peer.Disallowed))
	if !known {
		r.Evidence = append(r.Evidence, evidence.Inferred.Decides("the source is not known; link-local ones, of what hosts send by "+
			"themselves, are dropped like that, too"))
		r.Candidates = []diagnose.Candidate{diagnose.Maybe(diagnose.DisallowedSource,
			"on %s, tcpdump -ni any shows the source of what enters the tunnel", f.Peer.Label())}
		r.settled = false
	}
	return r
}

// allowedByNow reports whether the peer may send what was dropped: its AllowedIPs have changed
// since.
func (f facts) allowedByNow() bool { return f.Owner != nil && f.Owner == f.Peer }

// ofAnother is what to do about a peer that sends from an address which is another's.
func (f facts) ofAnother(v *diagnose.Verdict, src netip.Addr, in fix.Where, all []netip.Prefix) {
	p, owner := f.Peer, f.Owner
	v.Summary = fmt.Sprintf("%s sends packets from %s, which belongs to %s here", p.Label(), src, owner.Label())
	v.Evidence = append(v.Evidence, evidence.Kernel.Says("AllowedIPs of %s: %s", owner.Label(), joinPrefixes(owner.AllowedIPs)))
	v.Fix = fix.Steps{
		fix.Notef("whose is %s? If the keys of %s and %s are swapped, swap PublicKey in their sections; "+
			"an address can only be in the AllowedIPs of one peer, the last that was given it", src, p.Label(), owner.Label()),
		fix.Check("wg show %s allowed-ips", f.Interface),
		fix.Notef("if it belongs to %s, give it to that peer (%s loses it); in %s:", p.Label(), owner.Label(), in),
		fix.Config(in, "AllowedIPs", joinPrefixes(all)),
		fix.Note("or at once:"),
		fix.Command("wg set %s peer %s allowed-ips %s", f.Interface, p.Key, commaPrefixes(all))}
}

// leads reports whether one of some rules of routing leads to a link.
func leads(ahead []evidence.RuleAhead, link string) bool {
	return slices.ContainsFunc(ahead, func(a evidence.RuleAhead) bool { return a.Interface == link })
}

// wayBack is what leads answers to a peer's other address into the tunnel, where they would
// leave by another link, and unencrypted.
func (f facts) wayBack(src netip.Addr) fix.Steps {
	b := f.Back
	switch {
	case b == nil || b.Kind == evidence.RouteUnknown || b.Kind == evidence.RouteFound && b.Interface == f.Interface:
		return nil
	case b.Remove != "" && !b.Beatable && b.Kind != evidence.RouteNone && !leads(b.Ahead, f.Interface):
		// What decides serves other traffic, too.
		return fix.Steps{fix.Notef("answers to %s would not come back through %s, by %s: lead them there, by a route in the same table",
			src, f.Interface, b.By)}
	case b.Kind == evidence.RouteFound && !b.Gateway.IsValid():
		return fix.Steps{fix.Notef("but answers to %s leave by %s, whose network it belongs to: who has it there?", src, b.Interface)}
	case b.Kind == evidence.RouteFound:
		return append(fix.Steps{fix.Notef("answers to %s would leave by %s, past the tunnel, until it has a route:", src, b.Interface)},
			routeFix(b, f.Interface, f.routeInto(src))...)
	}
	return append(fix.Steps{fix.Notef("answers to %s need a route:", src)},
		routeFix(b, f.Interface, f.routeInto(src))...)
}

func (f facts) disallowed(e *probe.Event) diagnose.Verdict {
	p := f.Peer
	src, dst := e.Inner()
	v := diagnose.Verdict{Code: diagnose.DisallowedSource, Checkpoint: probe.B4, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s sends packets whose source is not in its AllowedIPs here", p.Label()),
		Evidence: []evidence.Line{evidence.Authenticated.Decides("%s, authenticated and dropped", probe.Count(p.DisallowedN, "such packet")),
			evidence.Kernel.Decides("AllowedIPs of %s: %s", p.Label(), joinPrefixes(p.AllowedIPs))}}
	if e.Checkpoint == probe.A5 {
		v.Checkpoint = probe.A6
	}
	all, in := p.AllowedIPs, f.sectionOf(p)
	if src.Addr().IsValid() {
		v.Summary = fmt.Sprintf("%s sends packets from %s, which is not in its AllowedIPs here", p.Label(), src.Addr())
		v.Evidence = append(v.Evidence, evidence.Authenticated.Says("the latest: %s to %s", src, dst))
		if what := f.unfit(src.Addr()); what != "" {
			v.Summary += ": it is " + what
			v.Fix = fix.Steps{fix.Notef("make %s send from its address in the tunnel; there:", p.Label())}
			if dst.IsValid() {
				v.Fix = append(v.Fix, fix.Check("ip route get %s", dst.Addr()).On(p.Label()))
			}
			return v
		}
		all = append(append([]netip.Prefix(nil), all...), hostPrefix(src.Addr()))
		if f.Owner != nil && f.Owner != p {
			f.ofAnother(&v, src.Addr(), in, all)
			return v
		}
		v.Fix = fix.Steps{
			fix.Notef("in %s:", in),
			fix.Config(in, "AllowedIPs", joinPrefixes(all)),
			fix.Note("or at once:"),
			fix.Command("wg set %s peer %s allowed-ips %s", f.Interface, p.Key, commaPrefixes(all))}
		v.Fix = append(append(v.Fix, f.wayBack(src.Addr())...), fix.Notef("or make %s send from an address that is allowed", p.Label()))
		return v
	}
	v.Fix = fix.Steps{fix.Notef("in %s add what it sends from:", in),
		fix.Config(in, "AllowedIPs", joinPrefixes(all)+", ADDRESS/32")}
	return v
}

// notDelivered: the reply left the tunnel, and the application did not get it.
func (f facts) notDelivered(time.Time) *ruling {
	if f.Flow.Replies == 0 {
		return nil
	}
	return &ruling{diagnose.Verdict{Code: diagnose.InputFirewall, Checkpoint: probe.A6, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the reply of %s came out of the tunnel and did not reach the application", f.target()),
		Evidence: []evidence.Line{
			evidence.Authenticated.Says("%s of the flow were written to %s", probe.Count(f.Flow.Replies, "packet"), f.Interface),
			evidence.Inferred.Decides("the probe got no answer")},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.InputFirewall, "nft list ruleset: is there a drop between %s and the application?", f.Interface),
			diagnose.Maybe(diagnose.ReversePathFilter, "nstat -az TcpExtIPReversePathFilter: does it grow?")},
		Fix: fix.Steps{fix.Check("nft list ruleset"), fix.Check("nstat -az TcpExtIPReversePathFilter")}}, false}
}

// noReplyAfter is how long a request may go unanswered: long enough for the third
// attempt at a TCP connection, after 3 s, and for a host on the way to find that
// a neighbour is silent.
const noReplyAfter = 7500 * time.Millisecond

// noReply is the general code: data leaves, and nothing comes back for it.
func (f facts) noReply(now time.Time) *ruling {
	if f.Flow.SentData == 0 && f.unpaired() == 0 {
		return nil
	}
	p := f.Peer
	src := "this host's tunnel address"
	if a1 := f.Flow.Seen[probe.A1]; a1 != nil {
		from, _ := a1.Inner()
		src = from.Addr().String()
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.NoReply, Checkpoint: probe.A5, Where: diagnose.WherePeer,
		Summary: fmt.Sprintf("packets to %s leave through the session with %s, and no reply comes back", f.target(), p.Label()),
		Evidence: []evidence.Line{evidence.Kernel.Says("%s of the flow were sent to %s",
			probe.Count(f.Flow.SentData, "data message"), p.Endpoint),
			evidence.Inferred.Decides("nothing that answers them was received")}}
	if f.Flow.SentData == 0 {
		v.Evidence[0] = evidence.Inferred.Decides("%s were sent to %s since; level %s does not show which of them has the packet",
			probe.Count(f.unpaired(), "data message"), p.Endpoint, f.Level)
	}
	if p.Handshake.EstablishedNow {
		v.Evidence = append(v.Evidence,
			evidence.Authenticated.Says("a handshake was completed meanwhile: the path works both ways, and so do the keys"))
	}
	if to := f.Kernel.On(evidence.ToTunnel).Translated; to != "" {
		v.Evidence = append(v.Evidence,
			evidence.Kernel.Says("netfilter trace: this host translates them before they enter the tunnel: %s", to))
	}
	if p.DisallowedN > 0 {
		v.Evidence = append(v.Evidence,
			evidence.Authenticated.Says("%s from %s had a source outside its AllowedIPs", probe.Count(p.DisallowedN, "packet"), p.Label()))
		v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.DisallowedSource,
			"is %s in AllowedIPs of %s here? They are %s", dst, p.Label(), joinPrefixes(p.AllowedIPs)))
	}
	v.Candidates = append(v.Candidates,
		diagnose.Maybe(diagnose.DisallowedSource, "on %s, wg show all allowed-ips must list %s for %s", p.Label(), src, f.PublicKey),
		diagnose.Maybe(diagnose.ForwardingDisabled, "on %s, sysctl net.%s.conf.all.forwarding must be 1, unless %s is its own",
			p.Label(), family(dst), dst),
		diagnose.Maybe(diagnose.ForwardFirewall, "on %s, nft list ruleset: may the tunnel be forwarded to %s?", p.Label(), dst),
		diagnose.Maybe(diagnose.NoRouteOnward, "on %s, ip route get %s", p.Label(), dst),
		diagnose.Maybe(diagnose.NoReplyFromDestination,
			"on %s, tcpdump -ni any host %s shows whether it answers: its firewall, or no route back to %s without masquerading",
			p.Label(), dst, src),
		diagnose.Maybe(diagnose.ReturnRouteWrong, "on %s, ip route get %s must lead into the tunnel", p.Label(), src),
		diagnose.Maybe(diagnose.NoReply,
			"on %s, tcpdump -ni any udp port %d: do the data messages arrive? What lies between may let handshakes pass alone",
			p.Label(), p.Endpoint.Port()))
	foreign := f.foreignSource(&v)
	f.answeredBefore(&v, now)
	f.orClaimed(&v, now)
	f.claimed(&v)
	if f.Flow.UDP {
		f.orSilent(&v)
	}
	if f.Flow.Target.Port() == 0 {
		v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.NoReplyFromDestination,
			"here, wgnode explain %s %s with the port of a service that it has: not every host answers pings", f.Interface, dst))
	}
	v.Fix = fix.Steps{fix.Note("the far host knows; on " + p.Label() + ":"),
		fix.Check("wgnode explain %s --passive --from %s", f.target(), src).On(p.Label())}
	if len(foreign) > 0 {
		v.Fix = foreign
	}
	if slices.ContainsFunc(f.Missing, func(m netip.Prefix) bool { return m.Addr().Is4() == dst.Is4() }) {
		f.incomplete(&v) // so that they have a source that nobody there expects
	}
	first := cmp.Or(f.Flow.Seen[probe.A4], f.Flow.Unpaired.First)
	settled := first != nil && now.Sub(first.When()) > noReplyAfter
	if f.Level.Kernel() {
		settled = f.ownHandshake(&v, first, now) && settled
	}
	return &ruling{v, settled}
}

// orSilent says that a service of UDP may have got what was sent and keep silent: most
// answer only what they understand, and WireGuard nobody it does not know. A closed port
// would have been refused.
func (f facts) orSilent(v *diagnose.Verdict) {
	dst := f.Flow.Target.Addr()
	v.Summary += "; over UDP that may be the service's silence"
	v.Candidates = append([]diagnose.Candidate{diagnose.Maybe(diagnose.NoReplyFromDestination,
		"on %s, ss -ulnp sport = :%d: if it listens there, does it answer what was sent? --payload sends something else, "+
			"and wgnode explain %s %s asks whether the host answers at all", dst, f.Flow.Target.Port(), f.Interface, dst)}, v.Candidates...)
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

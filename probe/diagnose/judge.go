package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/fix"
)

// Judge finds the verdict that the facts support at time now. It reports
// settled if more of the same would not change it; otherwise it is what can be
// said so far, and is the verdict if there is no more time.
func (f *Facts) Judge(now time.Time) (v Verdict, settled bool) {
	v, settled = f.judge(now)
	if f.Onward != nil && f.Flow.Seen[probe.A1] != nil && v.Code == NoReplyFromDestination {
		v, settled = f.Onward.judge(now)
	}
	if !v.Certain && v.Code != Idle {
		f.blind(&v)
	}
	if f.Changed != "" && !v.Healthy() && v.Code != ConnectionRefused {
		v.Evidence = append(v.Evidence, f.Changed+": it has been changed since")
		v.Fix = append(fix.Steps{fix.Note("restore the configured state:"), fix.Command("wgnode reload %s", f.Interface),
			fix.Note("or:")}, v.Fix...)
	}
	return v, settled
}

func (f *Facts) judge(now time.Time) (v Verdict, settled bool) {
	rules := judgePeer
	switch {
	case f.Flow != nil && f.Side == SideB:
		rules = judgeB
	case f.Flow != nil:
		rules = judgeA
	}
	for _, rule := range rules {
		if r := rule(f, now); r != nil {
			return r.Verdict, r.Settled
		}
	}
	return f.idle(now), false
}

// Ruling is what a rule finds: a verdict, and whether it stands.
type Ruling struct {
	Verdict
	// Settled: more of the same would not change the verdict. Otherwise it is what can
	// be said so far, and is the verdict if there is no more time.
	Settled bool
}

// final is a ruling that stands.
func final(v Verdict) *Ruling { return &Ruling{v, true} }

// A rule looks for one cause, and returns nil where it does not find it. The rules are
// in the order in which a packet passes the checkpoints, except that success comes
// first, and what was observed comes before what is only missing.
type rule func(f *Facts, now time.Time) *Ruling

var judgeA = []rule{
	(*Facts).blackhole, (*Facts).answered, (*Facts).overheard, (*Facts).refused, (*Facts).noMatch, (*Facts).outputDropped, (*Facts).notRouted, (*Facts).diverted,
	(*Facts).noPrivateKey, (*Facts).noEndpoint, (*Facts).endpointInTunnel, (*Facts).endpointNotRouted, (*Facts).cannotSend,
	(*Facts).wireOutDropped,
	(*Facts).pskMismatch, (*Facts).wireInDropped, (*Facts).wireInFiltered, (*Facts).wireInRefused, (*Facts).icmpSays, (*Facts).replyDisallowed,
	(*Facts).innerInDropped, (*Facts).noResponse, (*Facts).notDelivered, (*Facts).noReply, (*Facts).notEntered,
}

var judgeB = []rule{
	(*Facts).replied, (*Facts).routerRefuses, (*Facts).rejected, (*Facts).refused, (*Facts).strangers, (*Facts).replayed, (*Facts).sharedKey, (*Facts).sourceDisallowed,
	(*Facts).replyElsewhere, (*Facts).cannotSend, (*Facts).wireOutDropped, (*Facts).responseNotAccepted,
	(*Facts).forwarded, (*Facts).returned, (*Facts).neighborSilent, (*Facts).noAnswerBehind, (*Facts).routerWaits, (*Facts).noAnswerHere,
	(*Facts).wireInDropped, (*Facts).wireInFiltered, (*Facts).wireInRefused,
}

var judgePeer = []rule{
	(*Facts).noPrivateKey, (*Facts).sharedKey, (*Facts).sourceDisallowed, (*Facts).replayed,
	(*Facts).noEndpoint, (*Facts).endpointInTunnel, (*Facts).endpointNotRouted, (*Facts).cannotSend, (*Facts).wireOutDropped,
	(*Facts).pskMismatch, (*Facts).wireInDropped, (*Facts).wireInFiltered, (*Facts).wireInRefused, (*Facts).icmpSays, (*Facts).noResponse, (*Facts).responseNotAccepted,
	(*Facts).strangers, (*Facts).alive,
}

func (f *Facts) peerName() string {
	if f.Peer == nil {
		return "the peer"
	}
	return f.Peer.label()
}

func (p *Peer) label() string {
	switch {
	case p.Name != "":
		return p.Name
	case len(p.Key) > 8:
		return p.Key[:8] + "…"
	}
	return "the peer"
}

func healthy(summary string, evidence ...string) Verdict {
	return Verdict{Code: Healthy, Where: WhereHere, Certain: true, Summary: summary, Evidence: evidence}
}

func (f *Facts) idle(now time.Time) Verdict {
	if f.Flow != nil && f.Flow.Seen[probe.A1] != nil {
		return Verdict{Code: Idle, Where: WhereHere,
			Summary: fmt.Sprintf("packets to %s entered the tunnel; the time was too short to say what becomes of them", f.target())}
	}
	if f.Flow != nil {
		return Verdict{Code: Idle, Where: WhereHere,
			Summary:  "no matching packet was seen",
			Evidence: []string{fmt.Sprintf("no packet to %s came out of %s or entered it", f.target(), f.Interface)},
			Fix:      fix.Steps{fix.Note("on the host that asks, while this is watched:"), f.askingCommand()}}
	}
	why := "no handshake was attempted"
	if f.Peer != nil && f.Peer.handshaking(now) {
		why = "the handshake that has begun is not complete yet"
	}
	return Verdict{Code: Idle, Where: WhereHere, Summary: fmt.Sprintf("no session with %s, and %s", f.peerName(), why)}
}

// answered: the destination answers the probe, and by way of the tunnel.
func (f *Facts) answered(time.Time) *Ruling {
	if !f.Flow.Probe.Answered || f.outside() {
		return nil
	}
	v := healthy(fmt.Sprintf("%s answers through %s", f.target(), f.peerName()),
		"the probe was answered after "+probe.Brief(f.Flow.Probe.Took))
	if m := f.PathMTU; m != nil {
		v.Evidence = append(v.Evidence, m.words())
	}
	return final(v)
}

// overheard: somebody else's packet has got its answer.
func (f *Facts) overheard(time.Time) *Ruling {
	a1, a6 := f.Flow.Seen[probe.A1], f.Flow.Seen[probe.A6]
	p := f.traversal(FromTunnel)
	if f.Flow.Probe.Sent || f.Flow.Answer != nil || a1 == nil || a6 == nil || a6.Time < a1.Time || !f.Flow.answers.given() {
		return nil
	}
	if f.Kernel != nil && f.Kernel.Blind == "" && !f.Kernel.WireOnly && p.Passed == "" {
		return nil
	}
	return final(healthy(fmt.Sprintf("%s answers through %s", f.target(), f.peerName()),
		"the packet entered "+f.Interface+", and its reply came out of it"))
}

// outside reports whether the kernel sends the flow's packets elsewhere, and none
// has entered the tunnel. Then an answer says nothing about the tunnel.
func (f *Facts) outside() bool {
	r := &f.Flow.Route
	return f.Flow.Seen[probe.A1] == nil && r.Kind != RouteUnknown && (r.Kind != RouteFound || r.Interface != f.Interface)
}

// answeredOutside adds to the evidence that the probe was answered all the same.
func (f *Facts) answeredOutside(v *Verdict) {
	if f.Flow.Probe.Answered && !f.Flow.Route.Local {
		v.Evidence = append(v.Evidence, fmt.Sprintf("%s answers, but past the tunnel, through %s", f.target(), f.Flow.Route.Interface))
	}
}

func (f *Facts) alive(now time.Time) *Ruling {
	h := &f.Peer.Handshake
	if !h.Alive(now) {
		return nil
	}
	v := healthy(fmt.Sprintf("the session with %s is up", f.peerName()),
		fmt.Sprintf("handshake completed %s ago", probe.Brief(now.Sub(h.Established))))
	return final(v)
}

// refused: the far service, or a host on the way, says no, through the tunnel.
func (f *Facts) refused(time.Time) *Ruling {
	e := f.Flow.Answer
	if e == nil {
		return nil
	}
	// On the side that is called this host may have said it itself. What it did to
	// the request is told apart from the answer, and perhaps later.
	settled := f.Side == SideA || !f.traced() || f.traversal(FromTunnel).Packets > 0
	src, _ := e.Inner()
	who := src.Addr().String()
	way := "came back through " + f.peerName()
	if e.Seam == probe.SeamForward {
		way = "was the answer to a socket of this host"
	}
	if !e.ICMPError() {
		return &Ruling{Verdict{Code: ConnectionRefused, Where: WhereBeyond, Certain: true,
			Summary:  fmt.Sprintf("the tunnel works; %s refuses the connection: nothing listens there, or a firewall there rejects it", f.target()),
			Evidence: []string{fmt.Sprintf("TCP reset from %s %s", src, way)},
			Fix:      fix.Steps{fix.Note("on " + who + ": start the service, or see what listens"), fix.Check("ss -tlnp").On(who)}}, settled}
	}
	code, says := innerICMP(e)
	v := Verdict{Code: code, Where: WhereBeyond, Certain: true,
		Summary: fmt.Sprintf("the tunnel works; %s says: %s", who, says),
		Evidence: []string{fmt.Sprintf("ICMP type %d code %d (%s) from %s %s",
			e.Info, e.InnerSrcPort, says, who, way)}}
	v.Checkpoint = innerICMPCheckpoint[code]
	switch code {
	case ConnectionRefused:
		if f.Flow.Probe.Sent && f.Flow.Target.Port() != 0 {
			// To TCP a host answers a closed port with a reset.
			v.Summary = fmt.Sprintf("the tunnel works; %s refuses the connection, by a firewall rule: it says %s, and not by a TCP reset", who, says)
			v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
			break
		}
		dst := f.Flow.Target.Addr().String()
		v.Fix = fix.Steps{fix.Note("on " + dst + ": see what listens"), fix.Check("ss -ulnp").On(dst)}
	case NoRouteOnward:
		v.Fix = fix.Steps{fix.Note("on " + who + ":"), fix.Check("ip route get %s", f.Flow.Target.Addr()).On(who)}
	case NeighborUnreachable:
		v.Fix = fix.Steps{fix.Note("on " + who + ": is the destination up, and on that link?"),
			fix.Check("ip neighbour show %s", f.Flow.Target.Addr()).On(who)}
	case ForwardFirewall:
		v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
	}
	return &Ruling{v, settled}
}

var innerICMPCheckpoint = map[Code]probe.Checkpoint{
	NoRouteOnward: probe.B5, ForwardFirewall: probe.B5, NeighborUnreachable: probe.B6, NoReplyFromDestination: probe.B6,
}

// innerICMP reads an ICMP error that came back inside the tunnel (RFC 792,
// RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
func innerICMP(e *probe.Event) (Code, string) {
	v6 := e.Proto == probe.ProtoICMPv6
	switch code := e.InnerSrcPort; {
	case !v6 && e.Info == 3 && code == 3, v6 && e.Info == 1 && code == 4:
		return ConnectionRefused, "port unreachable"
	case !v6 && e.Info == 3 && (code == 9 || code == 10 || code == 13), v6 && e.Info == 1 && (code == 1 || code == 5 || code == 6):
		return ForwardFirewall, "administratively prohibited"
	case !v6 && e.Info == 3 && (code == 0 || code == 6), v6 && e.Info == 1 && code == 0:
		return NoRouteOnward, "network unreachable"
	case !v6 && e.Info == 3, v6 && e.Info == 1:
		return NeighborUnreachable, "host unreachable"
	}
	return NoReplyFromDestination, "time exceeded: the packet goes in circles, or its way is too long"
}

func (f *Facts) target() string { return probe.TargetText(f.Flow.Target) }

// noMatch: cryptokey routing has no peer for the destination.
func (f *Facts) noMatch(time.Time) *Ruling {
	if f.Peer != nil {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := Verdict{Code: NoAllowedIPsMatch, Checkpoint: probe.A1, Where: WhereHere, Certain: true,
		Summary:  fmt.Sprintf("%s is in no peer's AllowedIPs", dst),
		Evidence: []string{fmt.Sprintf("cryptokey routing of %s finds no peer for %s", f.Interface, dst)}}
	if e := f.Flow.Dropped; e != nil && e.Reason == probe.NoAllowedIPsMatch {
		v.Evidence = append(v.Evidence, "the packet entered the tunnel and was refused there")
	}
	f.answeredOutside(&v)
	host := hostPrefix(dst)
	if p := f.Nearest; p != nil {
		v.Evidence = append(v.Evidence, fmt.Sprintf("nearest: %s has %s", p.label(), joinPrefixes(p.AllowedIPs)))
		all := append(slices.Clone(p.AllowedIPs), host)
		v.Fix = fix.Steps{
			fix.Notef("if %s is behind %s, in %s:", dst, p.label(), f.sectionOf(p)),
			fix.Config(f.sectionOf(p), "AllowedIPs", joinPrefixes(all)),
			fix.Note("or at once:"),
			fix.Command("wg set %s peer %s allowed-ips %s", f.Interface, p.Key, commaPrefixes(all)),
		}
		if f.Flow.Route.Interface != f.Interface {
			v.Fix = append(v.Fix, fix.Command("ip route add %s dev %s", host, f.Interface))
		}
	}
	return &Ruling{v, f.Flow.Probe.Done || f.Flow.Dropped != nil || f.outside()}
}

// notRouted: the kernel does not give the packet to the tunnel.
func (f *Facts) notRouted(time.Time) *Ruling {
	r := f.Flow.Route
	if !f.outside() {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := Verdict{Code: RouteBypassesTunnel, Checkpoint: probe.A1, Where: WhereHere, Certain: true,
		Summary: fmt.Sprintf("%s is in the AllowedIPs of %s, but its route leaves by %s, not %s", dst, f.peerName(), r.Interface, f.Interface),
		Evidence: []string{"ip route get " + dst.String() + ": " + r.Describe(),
			"no packet for it entered the tunnel"},
		Fix: routeFix(&r, f.routeInto(dst))}
	switch {
	case r.Local:
		v.Summary = fmt.Sprintf("%s is this host's own address: no packet for it leaves", dst)
		v.Fix = fix.Steps{fix.Note("probe an address of the other side instead")}
	case r.Kind != RouteFound:
		v.Code = DestNotRouted
		v.Summary = fmt.Sprintf("this host has no route to %s: %s", dst, r.Kind)
	}
	f.incomplete(&v)
	f.answeredOutside(&v)
	return final(v)
}

// incomplete says what the interface lacks, and has that mended first: a route into
// it needs it to be up, and an address to send from.
func (f *Facts) incomplete(v *Verdict) {
	var first fix.Steps
	if f.LinkDown {
		v.Evidence = append(v.Evidence, f.Interface+" is down: routes by it are gone, or out of use")
		first = append(first, fix.Command("ip link set %s up", f.Interface))
	}
	for _, p := range f.Missing {
		v.Evidence = append(v.Evidence, fmt.Sprintf("%s, which the configuration gives it, is no address of %s", p, f.Interface))
		first = append(first, fix.Command("ip address add %s dev %s", p, f.Interface))
	}
	v.Fix = append(first, v.Fix...)
}

// routeInto is the route that leads packets to dst into the interface. Where that is
// incomplete, one that was there may come back as it is mended.
func (f *Facts) routeInto(dst netip.Addr) fix.Step {
	if f.LinkDown || len(f.Missing) > 0 {
		return fix.Command("ip route replace %s dev %s", hostPrefix(dst), f.Interface)
	}
	return fix.Command("ip route add %s dev %s", hostPrefix(dst), f.Interface)
}

// notEntered: routed to the tunnel, and yet it did not come.
func (f *Facts) notEntered(time.Time) *Ruling {
	if f.Flow.Seen[probe.A1] != nil || !f.Flow.Probe.Sent {
		return nil
	}
	errno := f.Flow.Probe.Errno
	certain := errno == syscall.EPERM || errno == syscall.ECONNREFUSED
	p := f.traversal(ToTunnel)
	v := Verdict{Code: OutputFirewall, Checkpoint: probe.A1, Where: WhereHere, Certain: certain,
		Summary:  fmt.Sprintf("the probe's packet to %s did not reach the tunnel", f.target()),
		Evidence: []string{"nothing for " + f.target() + " was read from " + f.Interface},
		Fix:      fix.Steps{fix.Note("look for a rule that drops it in the output hook"), fix.Check("nft list ruleset")}}
	if certain {
		v.Evidence = append(v.Evidence, fmt.Sprintf("the probe failed with %q and no packet had left: that is this host's own answer", errno))
	}
	switch {
	case certain && f.traced() && p.Packets == 0:
		v.Summary += ": this host refuses to send it"
		return &Ruling{refusal(v, f.Flow.XfrmBlocks, "output"), f.Flow.Probe.Done}
	case certain:
		v.Summary += ": netfilter on this host drops or rejects it"
		return final(v)
	case p.Lost != "":
		v.Evidence = append(v.Evidence, "netfilter trace: it is seen last in the "+p.Lost+" hook, and no rule that is traced has dropped it")
	case p.Passed != "":
		v.Evidence = append(v.Evidence, "netfilter trace: it passes the "+p.Passed+" hook: what is traced has not dropped it")
	}
	v.Candidates = []Candidate{{OutputFirewall, "nft list ruleset: is there a drop in the output hook?"}}
	if f.traced() {
		v.Candidates[0].Check = "what is not traced: iptables-legacy-save, tc filter show dev " + f.Interface + " egress, bpftool net"
		v.Fix = fix.Steps{fix.Note("look for what drops it and is not traced"), fix.Check("iptables-legacy-save; ip6tables-legacy-save"), fix.Check("tc -s qdisc show dev %s", f.Interface),
			fix.Check("tc filter show dev %s egress", f.Interface)}
	}
	if f.Flow.Route.Kind == RouteUnknown {
		v.Candidates = append(v.Candidates, Candidate{RouteBypassesTunnel, "ip route get " + f.Flow.Target.Addr().String() + ": does it say dev " + f.Interface + "?"})
	}
	return &Ruling{v, false}
}

package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel itself tells of a packet that it has dropped. Where
// netfilter's trace names a rule, that says more.

// mechanism is what makes the kernel drop packets for a reason.
type mechanism struct {
	code diagnose.Code // "": a firewall, with the code of the part of the path that it is on
	by   string        // for summaries: "an XDP program at %s"; %s is the device
	// checks show it; %s is the device here, too.
	checks []string
	// passing: it comes and goes, so that the next packet may pass.
	passing bool
	// or is what else it may be, "" if the kernel's word is enough.
	or string
}

// mechanismOf is what a drop proves, false if nothing.
func mechanismOf(d *evidence.KernelDrop) (mechanism, bool) {
	if d == nil || d.Hint {
		return mechanism{}, false
	}
	m, ok := mechanisms[d.Reason]
	if at, special := mechanisms[d.Reason+" "+d.Place]; special {
		m, ok = at, true
	}
	return m, ok
}

// mechanisms by reason, or by reason and place. For what routing and IPsec refuse there are
// rules of their own, which read routes, policies and settings and so say more.
var mechanisms = map[string]mechanism{
	"NETFILTER_DROP": {by: "a rule of legacy iptables, or something else at a netfilter hook,",
		checks: []string{"iptables-legacy-save -c", "ip6tables-legacy-save -c", "bpftool link show", "conntrack -S"}},
	"NETFILTER_DROP nft_do_chain": {by: "a rule of nftables, which its trace has not shown,",
		checks: []string{"nft list ruleset"}},
	"TC_EGRESS": {code: diagnose.BPFDrop, by: "a tc filter or tcx program at the egress of %s",
		checks: []string{"tc filter show dev %s egress", "bpftool net show dev %s"}},
	"TC_INGRESS": {code: diagnose.BPFDrop, by: "a tc filter or tcx program at the ingress of %s",
		checks: []string{"tc filter show dev %s ingress", "bpftool net show dev %s"}},
	"NOT_SPECIFIED veth_xdp_rcv_skb": xdp, "NOT_SPECIFIED do_xdp_generic": xdp, "NOT_SPECIFIED generic_xdp_tx": xdp,
	"BPF_CGROUP_EGRESS": {code: diagnose.BPFDrop, by: "a BPF program of the sender's cgroup", checks: []string{"bpftool cgroup tree"}},
	"SOCKET_FILTER": {code: diagnose.BPFDrop, by: "a filter of the socket, or a BPF program of its cgroup,",
		checks: []string{"ss -0eumt --bpf", "bpftool cgroup tree"}},
	"SOCKET_RCVBUFF": {code: diagnose.SocketBufferFull, by: "the full receive buffer of the socket", passing: true,
		checks: []string{"ss -uamn", "nstat -az UdpRcvbufErrors"}},
	"IPV6DISABLED": {code: diagnose.IPv6Disabled, by: "the kernel, since IPv6 is off on %s,",
		checks: []string{"sysctl net.ipv6.conf.%s.disable_ipv6", "ip link show dev %s"}},
	"UDP_CSUM": checksum, "TCP_CSUM": checksum, "IP_CSUM": checksum,
	"QDISC_DROP": {code: diagnose.QueueFull, by: "the full queue of %s", passing: true, checks: []string{"tc -s qdisc show dev %s"}},
	"FULL_RING": {code: diagnose.QueueFull, by: "the full queue of %s, which is not read fast enough,", passing: true,
		checks: []string{"ip -s link show dev %s"}},
	"NOT_SPECIFIED nf_queue": queue, "NOT_SPECIFIED __nf_queue": queue, "NOT_SPECIFIED nf_hook_slow": queue,
	"IP_RPFILTER": {code: diagnose.ReversePathFilter, by: "the check of the source (rp_filter) at %s",
		checks: []string{"sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.%s.rp_filter", "ip rule", "ip route show table all"}},
	"IP_LOCAL_SOURCE": {code: diagnose.ReversePathFilter, by: "the check of the source, which is an address of this host's own,",
		checks: []string{"ip address"}},
	"IP_INADDRERRORS": {code: diagnose.ForwardingDisabled, by: "the kernel, which does not forward what comes in on %s,",
		checks: []string{"sysctl net.ipv4.conf.all.forwarding net.ipv6.conf.all.forwarding net.ipv4.conf.%s.forwarding"}},
	"IP_INNOROUTES": noRoute, "NOT_SPECIFIED ip_error": noRoute, "NOT_SPECIFIED dst_discard_out": noRoute,
	"NOT_SPECIFIED dst_discard": noRoute,
	"XFRM_POLICY":               {by: "an IPsec policy", checks: []string{"ip xfrm policy"}},
	"IP_INHDR": {code: diagnose.TTLExceeded, by: "the kernel, since the TTL has run out (it was too low, or routers send packets in circles),",
		checks: []string{"ip route show table all", "nft list ruleset"}},
	"NOT_SPECIFIED __dev_forward_skb2": {code: diagnose.MTUBlackhole, by: "the other end of %s (veth), whose MTU is smaller,",
		checks: []string{"ip -s link show dev %s", "ip -all netns exec ip -s link"},
		or:     "that end may be down instead: the kernel has the same reason for both"},
}

var (
	noRoute = mechanism{code: diagnose.NoRouteOnward, by: "the kernel, which has no route for it,",
		checks: []string{"ip rule", "ip route show table all"}}
	xdp = mechanism{code: diagnose.BPFDrop, by: "an XDP program at %s",
		checks: []string{"ip link show dev %s", "bpftool net show dev %s"}}
	checksum = mechanism{code: diagnose.Checksum, by: "the check of its checksum",
		checks: []string{"ethtool -k %s", "nstat -az UdpInCsumErrors TcpInCsumErrors"}}
	queue = mechanism{by: "a queue rule (NFQUEUE) without a program that reads the queue", checks: []string{"nft list ruleset",
		"iptables-legacy-save -c", "ip6tables-legacy-save -c", "cat /proc/net/netfilter/nfnetlink_queue"}}
)

// kernelDrop is the verdict on packets that the kernel says it has dropped on a segment.
// One that comes and goes stands if the next packet meets it, too; one of netfilter's if its
// trace has had the time to say more.
func (f facts) kernelDrop(now time.Time, on evidence.Segment, firewall diagnose.Code, at probe.Checkpoint,
	what string) *ruling {
	d := f.Kernel.On(on).KernelDrop
	m, ok := mechanismOf(d)
	if !ok || f.Kernel.On(on).Drop != nil || !f.mayRefuse(on, m, d, now) {
		return nil
	}
	v := diagnose.Verdict{Code: m.code, Checkpoint: at, Where: diagnose.WhereHere, Evidence: []evidence.Line{evidence.Kernel.Decides("%s", d)}}
	switch {
	case v.Code == "":
		v.Code = firewall
	case v.Code == diagnose.NoRouteOnward && on == evidence.ToTunnel:
		v.Code = diagnose.ReturnRouteWrong
	}
	v.Summary = fmt.Sprintf("%s drops %s on this host", fmt.Sprintf(m.by, devices(m.by, d)...), what)
	if d.Named != nil {
		return f.named(&v, on, d, what, now)
	}
	if d.Count > 1 {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("that happened to %s", probe.Count(d.Count, "packet")))
	} else if m.passing {
		v.Evidence = append(v.Evidence, evidence.Inferred.Says("that happened to one packet so far: the next may pass"))
	}
	if m.code == diagnose.IPv6Disabled && d.Device == f.Interface && f.NoIPv6 != "" {
		f.incomplete(&v)
		return final(v)
	}
	f.attached(&v, on, d)
	if m.or != "" {
		v.Evidence = append(v.Evidence, evidence.Inferred.Decides("%s", m.or))
		v.Candidates = append(v.Candidates, diagnose.Maybe(v.Code, m.checks[0]+": is it up at both ends?", devices(m.checks[0], d)...))
	}
	v.Evidence = append(v.Evidence, evidence.Kernel.Each(d.Tables)...)
	v.Fix = slices.Concat(fix.Commands(d.Fix...), fix.Steps{fix.Note("see what it is:")}, v.Fix)
	for _, c := range m.checks {
		v.Fix = append(v.Fix, fix.Check(c, devices(c, d)...))
	}
	v.Fix = once(v.Fix)
	return &ruling{v, (!m.passing || d.Count > 1 || f.goneBy(on, d, now)) && !f.awaitsTrace(on, d, now)}
}

// named is the verdict on a packet that a rule of nftables has dropped, which was found by
// elimination.
func (f facts) named(v *diagnose.Verdict, on evidence.Segment, d *evidence.KernelDrop, what string, now time.Time) *ruling {
	by := d.Named
	v.Summary = fmt.Sprintf("%s %s on this host", by.By(), what)
	rule := by.Rule
	if rule == "" {
		rule = "the policy of chain " + by.Chain
	}
	v.Evidence = append(v.Evidence, evidence.Kernel.Decides("of all rules at the %s hook only one of nftables drops such a packet: %s",
		by.Hook, rule))
	if by.Owner != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("the names of its tables, chains or sets are those of %s", by.Owner))
	}
	v.Fix = fix.FromLines(by.Fix)
	return &ruling{*v, !f.awaitsTrace(on, d, now)}
}

// mayRefuse reports whether a mechanism is to be judged by the kernel's word alone. What
// routing and IPsec refuse has rules that read their tables; they take netfilter's trace,
// which comes a little later, and the direction of the flow.
func (f facts) mayRefuse(on evidence.Segment, m mechanism, d *evidence.KernelDrop, now time.Time) bool {
	ofTables := d.OfRouting() || d.Reason == "XFRM_POLICY"
	if ofTables && f.traced() && now.Sub(d.At) < traceSlack {
		return false
	}
	inner := on == evidence.ToTunnel || on == evidence.FromTunnel
	switch m.code {
	case diagnose.ForwardingDisabled:
		// IPv6 has the same reason for sources that are never forwarded.
		src, on := d.Src.Addr(), f.Kernel.On(on).Forwarding
		return inner && f.Side == probe.SideB && (on == nil || !on.On) &&
			!src.IsLinkLocalUnicast() && !src.IsMulticast() && !src.IsUnspecified() && !src.IsLoopback()
	case diagnose.NoRouteOnward, diagnose.TTLExceeded:
		return inner && f.Side == probe.SideB
	case diagnose.ReversePathFilter:
		return on == evidence.FromTunnel || on == evidence.FromWire || f.Side == probe.SideB && inner
	case diagnose.MTUBlackhole:
		return on == evidence.ToWire || on == evidence.FromTunnel
	}
	return true
}

// confirms is what the kernel itself says of a packet that was refused for one of these
// reasons: nothing if it says nothing of the kind.
func confirms(p *evidence.Traversal, reasons ...string) []evidence.Line {
	d := p.KernelDrop
	if d == nil || d.Hint || !slices.Contains(reasons, d.Reason) || d.Reason == "NOT_SPECIFIED" && !d.OfRouting() {
		return nil
	}
	return []evidence.Line{evidence.Kernel.Decides("%s", d)}
}

// otherwise reports whether the kernel proves that something else has dropped a packet than
// routing and IPsec, of which the tables would tell.
func otherwise(p *evidence.Traversal) bool {
	_, known := mechanismOf(p.KernelDrop)
	return (known || p.KernelDrop.NextHopSilent()) && p.Drop == nil && !p.KernelDrop.OfRouting() && p.KernelDrop.Reason != "XFRM_POLICY"
}

// once leaves out steps that are there before.
func once(steps fix.Steps) fix.Steps {
	var all fix.Steps
	for _, s := range steps {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// givesWay is a little less than the time after which the side that is called goes on to
// follow another connection, if the one that it follows is not answered.
const givesWay = 700 * time.Millisecond

// goneBy reports whether nothing more will come of the packet that was dropped: of a message
// of a handshake the next attempt is another one, 5 s later.
func (f facts) goneBy(on evidence.Segment, d *evidence.KernelDrop, now time.Time) bool {
	handshake := !d.Data && (on == evidence.ToWire || on == evidence.FromWire)
	return f.Peer != nil && f.Peer.SendErrno != 0 || (f.Side == probe.SideB || handshake) && now.Sub(d.At) > givesWay
}

// traceTime is how long after a drop by a rule of nftables its trace may still name the
// rule: that of the next attempt counts, too.
const traceTime = 3 * time.Second

// awaitsTrace reports whether netfilter's trace may still name the rule, one that drops the packet or
// that has lowered its TTL. It does not, if it has shown that packet, or a later one, and no rule that
// does, or two were dropped.
func (f facts) awaitsTrace(on evidence.Segment, d *evidence.KernelDrop, now time.Time) bool {
	if d.Place != "nft_do_chain" && d.Reason != "IP_INHDR" || !f.traced() || d.Named != nil {
		return false
	}
	const slack = 10 * time.Millisecond // the clocks' readings, of one packet
	p, since := f.Kernel.On(on), now.Sub(d.At)
	ended := p.Passed != "" || p.Lost != ""            // its walk may still go on
	apart := d.Hook == "ingress" || d.Hook == "egress" // of a device or a bridge: those are walks of their own
	shown := p.Packets > 0 && !p.Incomplete && ended && !apart && !p.Times().At.Before(d.At.Add(-slack))
	return !shown && (since < traceTime && d.Count == 1 || since < traceSlack)
}

// traceSlack is how much later than the kernel's word its trace may be read.
const traceSlack = 700 * time.Millisecond

// devices is the device once for each place that a format has for it.
func devices(format string, d *evidence.KernelDrop) []any {
	return slices.Repeat([]any{cmp.Or(d.Device, "DEV")}, strings.Count(format, "%s"))
}

// outputKernel: the inner packet does not get as far as the tunnel.
func (f facts) outputKernel(now time.Time) *ruling {
	if f.Flow.Seen[probe.A1] != nil {
		return nil
	}
	return f.kernelDrop(now, evidence.ToTunnel, diagnose.OutputFirewall, probe.A1, "the packet to "+f.target()+" before it reaches the tunnel")
}

// worksSince reports whether encrypted packets pass on a segment, so that one that was dropped is
// no fault. Of a peer whose flows are not known that is if the handshake was completed after the
// drop, or, if it is one that came in or that comes and goes, if the peer was heard since.
func (f facts) worksSince(on evidence.Segment, d *evidence.KernelDrop) bool {
	if f.Flow != nil || f.Peer == nil {
		return f.works()
	}
	m, _ := mechanismOf(d)
	return f.Peer.Handshake.Established.After(d.At) || (on == evidence.FromWire || m.passing) && f.Peer.Heard.After(d.At)
}

// wireOutKernel: encrypted packets do not leave this host.
func (f facts) wireOutKernel(now time.Time) *ruling {
	d := f.Kernel.On(evidence.ToWire).KernelDrop
	if d == nil || d.Claimed || f.worksSince(evidence.ToWire, d) {
		return nil
	}
	return f.kernelDrop(now, evidence.ToWire, diagnose.UnderlayOutputFirewall, f.sentAt(&evidence.Drop{Data: d.Data}),
		fmt.Sprintf("the encrypted packets to %s", d.Dst))
}

// wireInKernel: the peer's encrypted packets arrive, and do not come to the tunnel's socket.
func (f facts) wireInKernel(now time.Time) *ruling {
	if d := f.Kernel.On(evidence.FromWire).KernelDrop; d == nil || d.Claimed {
		return nil
	}
	return f.kernelIn(now)
}

func (f facts) kernelIn(now time.Time) *ruling {
	d := f.Kernel.On(evidence.FromWire).KernelDrop
	if d == nil || f.worksSince(evidence.FromWire, d) || f.arrived() {
		return nil
	}
	at := f.missedAt(d.Data, now)
	if f.Side == probe.SideB && f.Peer == nil && d.Data && !d.Claimed {
		at = probe.B3 // of a session that this node has, whosever it is
	}
	return f.kernelDrop(now, evidence.FromWire, diagnose.UnderlayInputFirewall, at,
		fmt.Sprintf("encrypted packets from %s", d.Src))
}

// behindKernel: the request has left the tunnel, and goes no further.
func (f facts) behindKernel(now time.Time) *ruling {
	if f.Flow.Seen[probe.B4] == nil {
		return nil
	}
	d := f.Kernel.On(evidence.FromTunnel).KernelDrop
	what := "the packet to " + f.target() + " after it has left the tunnel"
	if d != nil && (d.Hook == "input" || f.Flow.Route.Local) {
		return f.kernelDrop(now, evidence.FromTunnel, diagnose.InputFirewall, probe.B7, what)
	}
	return f.kernelDrop(now, evidence.FromTunnel, diagnose.ForwardFirewall, probe.B5, what)
}

// returnKernel: the answer does not get back into the tunnel.
func (f facts) returnKernel(now time.Time) *ruling {
	if f.Flow.Seen[probe.B4] == nil || f.Flow.Paired() {
		return nil
	}
	return f.kernelDrop(now, evidence.ToTunnel, diagnose.ReturnFirewall, probe.B7, "the reply of "+f.target()+" on its way into the tunnel")
}

// innerInKernel: the reply has left the tunnel, and does not get to the application.
func (f facts) innerInKernel(now time.Time) *ruling {
	if f.Flow.Seen[probe.A6] == nil {
		return nil
	}
	return f.kernelDrop(now, evidence.FromTunnel, diagnose.InputFirewall, probe.A6,
		"the reply of "+f.target()+" after it has left the tunnel")
}

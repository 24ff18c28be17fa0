//go:build linux

package explain

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/host/conntrack"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// Lengths in bytes of the payload of the datagrams that carry a handshake.
const (
	initiationLen = 148
	responseLen   = 92
)

// busyRate is how many packets a second are followed of what may be a lot.
const busyRate = 20

// neighborTime is how long a neighbour may take to answer: Linux asks once a
// second, and gives up after three times.
const neighborTime = 1200 * time.Millisecond

// kernelWatch follows the packets of a flow through this host's kernel for as
// long as the flow is explained.
type kernelWatch struct {
	link    string
	tracer  *netfilter.Tracer // nil: nobody can look
	matches []netfilter.Match
	stretch []diagnose.Stretch // of each match
	packets chan *netfilter.Packet
	ended   chan struct{}
	kernel  *diagnose.Kernel
	forth   netfilter.Header // the latest request of the flow, on the side that is called
	asked   time.Time        // when the next hop was first looked at
	looked  time.Time        // and when the last time

	lostBefore uint64 // trace events, by another watch of the same flow
}

// watchKernel begins to follow packets. What cannot be followed is told in
// facts. close must be called.
func (x *explanation) watchKernel(ctx context.Context) *kernelWatch {
	w := newKernelWatch(x.Interface)
	x.facts.Kernel = w.kernel
	if x.facts.Side == diagnose.SideB {
		x.matchesB(w.match)
	} else {
		x.matchesA(w.match)
	}
	w.start(ctx)
	return w
}

// watchAnew follows other packets than before, and keeps what was seen.
func (x *explanation) watchAnew(ctx context.Context) {
	old, lost := x.kernel, x.kernel.lost()
	old.close()
	x.kernel = x.watchKernel(ctx)
	x.kernel.asked, x.kernel.forth, x.kernel.lostBefore = old.asked, old.forth, lost
	if x.forwardedTo.IsValid() {
		x.kernel.kernel.Passages = old.kernel.Passages
	}
}

func newKernelWatch(link string) *kernelWatch {
	return &kernelWatch{link: link, kernel: &diagnose.Kernel{}, packets: make(chan *netfilter.Packet, 64), ended: make(chan struct{})}
}

// match has packets followed that are on a stretch.
func (w *kernelWatch) match(s diagnose.Stretch, ms ...netfilter.Match) {
	for _, m := range ms {
		w.matches = append(w.matches, m)
		w.stretch = append(w.stretch, s)
	}
}

// start begins to follow what was given to match.
func (w *kernelWatch) start(ctx context.Context) {
	err := netfilter.Available()
	if err == nil {
		w.tracer, err = netfilter.Start(netfilter.Config{Matches: w.matches})
	}
	if err != nil {
		w.kernel.Blind = err.Error()
		close(w.ended)
		return
	}
	w.kernel.Limits = limits()
	go w.read(ctx)
}

// limits says what a trace may miss on this host.
func limits() []string {
	rules, err := netfilter.Snapshot()
	if err != nil {
		return []string{"what a trace may miss here is not known: " + err.Error()}
	}
	var missed []string
	if len(rules.Legacy) > 0 {
		missed = append(missed, fmt.Sprintf("rules of legacy iptables (%s) are not traced; iptables-legacy-save lists them", strings.Join(rules.Legacy, ", ")))
	}
	if len(rules.Flowtables) > 0 {
		missed = append(missed, fmt.Sprintf("flows that flowtable %s has taken over are not traced", rules.Flowtables[0].Name))
	}
	return missed
}

// matchesA selects what the side that asks sends and gets.
func (x *explanation) matchesA(add func(diagnose.Stretch, ...netfilter.Match)) {
	for _, forth := range x.requests() {
		if x.req.From.IsValid() {
			forth.Src = x.req.From
		}
		add(diagnose.ToTunnel, forth)
		add(diagnose.FromTunnel, reply(forth))
	}
	if p := x.facts.Peer; p != nil && p.Endpoint.IsValid() {
		out := netfilter.Match{Dst: host(p.Endpoint.Addr()), Proto: probe.ProtoUDP, DstPort: p.Endpoint.Port(), SrcPort: x.facts.ListenPort}
		add(diagnose.ToWire, onlyLength(out, initiationLen), busy(out))
		add(diagnose.FromWire, onlyLength(out.Reverse(), responseLen), busy(out.Reverse()))
	}
}

// matchesB selects what the side that is called gets and sends. Who calls may
// not be known yet.
func (x *explanation) matchesB(add func(diagnose.Stretch, ...netfilter.Match)) {
	for _, forth := range x.requests() {
		forth.In = x.Interface
		back := reply(forth) // to whatever the source is translated
		if x.req.From.IsValid() && x.inTunnel(x.req.From) {
			forth.Src = x.req.From
		}
		add(diagnose.FromTunnel, forth)
		add(diagnose.ToTunnel, back)
		if x.forwardedTo.IsValid() { // the answers come from there
			back.Src, back.SrcPort = host(x.forwardedTo.Addr()), x.forwardedTo.Port()
			add(diagnose.ToTunnel, back)
		}
	}
	for _, all := range everybody {
		in := netfilter.Match{Src: all, Proto: probe.ProtoUDP, DstPort: x.facts.ListenPort}
		if x.req.From.IsValid() && !x.inTunnel(x.req.From) && x.req.From.Addr().Is4() == all.Addr().Is4() {
			in.Src = x.req.From
		}
		add(diagnose.FromWire, onlyLength(in, initiationLen), busy(in))
		add(diagnose.ToWire, onlyLength(in.Reverse(), responseLen), busy(in.Reverse()))
	}
}

var everybody = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func onlyLength(m netfilter.Match, payload uint16) netfilter.Match {
	m.Payload = payload
	return m
}

func busy(m netfilter.Match) netfilter.Match {
	m.Rate = busyRate
	return m
}

// requests selects the flow's packets towards the target.
func (x *explanation) requests() []netfilter.Match {
	t := x.flow.Target
	m := netfilter.Match{Dst: host(t.Addr()), DstPort: t.Port(), Proto: probe.ProtoTCP}
	switch {
	case t.Port() == 0:
		m.Proto = probe.ProtoICMP
		echo := uint8(8)
		if t.Addr().Is6() {
			m.Proto, echo = probe.ProtoICMPv6, 128
		}
		m.ICMPType = &echo
	case x.req.Passive: // somebody else's, perhaps a lot, and perhaps of UDP
		udp := m
		udp.Proto = probe.ProtoUDP
		return []netfilter.Match{busy(m), busy(udp)}
	}
	return []netfilter.Match{m}
}

// reply selects the answers to what m selects.
func reply(m netfilter.Match) netfilter.Match {
	back := m.Reverse()
	back.In, back.Out = "", ""
	if m.ICMPType != nil {
		echo := *m.ICMPType + 1 // of ICMPv6
		if m.Proto == probe.ProtoICMP {
			echo = 0
		}
		back.ICMPType = &echo
	}
	return back
}

func (w *kernelWatch) read(ctx context.Context) {
	defer close(w.ended)
	for {
		p, err := w.tracer.Next(ctx)
		if err != nil {
			return
		}
		select {
		case w.packets <- p:
		case <-ctx.Done():
			return
		}
	}
}

// lost is how many trace events were lost up to now.
func (w *kernelWatch) lost() uint64 {
	if w.tracer == nil {
		return w.lostBefore
	}
	return w.lostBefore + w.tracer.Lost()
}

// close ends it.
func (w *kernelWatch) close() {
	if w.tracer == nil {
		return
	}
	// Without its socket the kernel removes the table; there is nobody to tell.
	_ = w.tracer.Close()
	<-w.ended
}

// add takes the walk of one packet into account, in the facts' Kernel.
func (w *kernelWatch) add(f *diagnose.Facts, pkt *netfilter.Packet) {
	if !w.ours(f, pkt) {
		return
	}
	s := w.stretch[pkt.Match]
	f = half(f, s, pkt)
	p := &f.Kernel.Passages[s]
	p.Packets++
	p.Src, p.Dst = pkt.First.Source(), pkt.First.Destination()
	p.In, p.Out = link.NameOf(pkt.First.In), link.NameOf(pkt.Last.Out)
	p.Translated = translated(pkt)
	fate := pkt.Fate()
	switch fate.Outcome {
	case netfilter.Dropped:
		p.Drop, p.Lost = w.drop(f, pkt, fate), ""
	case netfilter.Passed:
		p.Drop, p.Lost, p.Passed = nil, "", fate.Hook.String()
	case netfilter.Lost:
		if pkt.Incomplete || pkt.First.Fragment {
			break
		}
		p.Drop, p.Lost = nil, fate.Hook.String()
	}
	w.route(f, s, p, pkt)
}

// half tells which half of a flow that is passed on from one peer to another an
// encrypted packet belongs to.
func half(f *diagnose.Facts, s diagnose.Stretch, pkt *netfilter.Packet) *diagnose.Facts {
	if f.Onward == nil {
		return f
	}
	endpoint := f.Onward.Peer.Endpoint
	if s == diagnose.ToWire && pkt.First.Destination() == endpoint || s == diagnose.FromWire && pkt.First.Source() == endpoint {
		return f.Onward
	}
	return f
}

// ours tells the packets of the flow from others that look alike: those from
// the same service to somebody else.
func (w *kernelWatch) ours(f *diagnose.Facts, pkt *netfilter.Packet) bool {
	h, was := pkt.Last, w.forth
	switch s := w.stretch[pkt.Match]; {
	case f.Side == diagnose.SideB && s == diagnose.FromTunnel:
		w.forth = h
	case f.Side == diagnose.SideB && s == diagnose.ToTunnel:
		if was.Conntrack.Known && h.Conntrack.Known {
			return was.Conntrack.ID == h.Conntrack.ID
		}
		return pkt.First.Dst == was.Src
	}
	return true
}

func translated(pkt *netfilter.Packet) string {
	a, b := pkt.First, pkt.Last
	var words []string
	if a.Source() != b.Source() {
		words = append(words, fmt.Sprintf("source %s to %s", a.Source(), b.Source()))
	}
	if a.Destination() != b.Destination() {
		words = append(words, fmt.Sprintf("destination %s to %s", a.Destination(), b.Destination()))
	}
	return strings.Join(words, ", ")
}

// drop words what dropped a packet.
func (w *kernelWatch) drop(f *diagnose.Facts, pkt *netfilter.Packet, fate netfilter.Fate) *diagnose.Drop {
	d := &diagnose.Drop{Hook: fate.Hook.String(), Chain: fate.Chain.Describe(), Packet: describe(pkt.First)}
	rule := netfilter.Rule{Table: fate.Chain.Table, Chain: fate.Chain.Name, Program: "nft"}
	if fate.Step.Kind == netfilter.RuleStep {
		var err error
		if rule, err = w.tracer.Rule(fate.Chain, fate.Step); err != nil {
			rule = netfilter.Rule{Table: fate.Chain.Table, Chain: fate.Step.Chain, Handle: fate.Step.Handle, NoText: err.Error(), Program: "nft"}
		}
		d.Rule, d.Reject = rule.String(), rule.Reject
		if rule.Text == "" && rule.NoText != "" {
			d.Rule += " (" + rule.NoText + ")"
		}
	}
	h := pkt.First
	d.Data = h.Proto == probe.ProtoUDP && !isHandshake(h)
	d.Fix = accept(rule, pkt, services(f, w.stretch[pkt.Match], pkt))
	return d
}

// isHandshake reports whether a datagram is as long as an initiation or a
// response.
func isHandshake(h netfilter.Header) bool {
	headers := 20 + 8
	if h.Src.Is6() {
		headers = 40 + 8
	}
	payload := int(h.Length) - headers
	return payload == initiationLen || payload == responseLen
}

func describe(h netfilter.Header) string {
	return fmt.Sprintf("%s %s > %s", probe.ProtocolName(h.Proto), h.Source(), h.Destination())
}

// route asks the routing tables what a passage has to do with.
func (w *kernelWatch) route(f *diagnose.Facts, s diagnose.Stretch, p *diagnose.Passage, pkt *netfilter.Packet) {
	h := pkt.Last
	if pkt.Start != netfilter.Prerouting {
		if f.Side == diagnose.SideB && s == diagnose.ToTunnel { // the answer of a service on this host
			p.Way = wayFrom(h.Src, h.Destination(), h.Proto, h.Mark, w.link)
		}
		return
	}
	flow := routing.Flow{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SPort: h.SrcPort, DPort: h.DstPort, Mark: h.Mark, IIF: p.In}
	snap, err := routing.Take(routing.Options{Only: []netip.Addr{h.Src, h.Dst}})
	if err != nil {
		return
	}
	if p.Lost != "" {
		check := snap.ReversePath(flow)
		p.Source = &diagnose.SourceCheck{Drops: check.Drops && check.Doubt == "", Evidence: check.Evidence, Fix: check.Fix}
		if check.Back != nil {
			p.Source.Back = decided(check.Back, snap)
		}
	}
	local, _ := snap.AddrType(h.Dst)
	if local == routing.TypeLocal || s == diagnose.FromWire {
		return
	}
	walk := snap.Walk(flow)
	_ = snap.Verify(&walk) // where the kernel does not answer the walk stands as it is
	p.Way = decided(&walk, snap)
	fwd := snap.Forwarding(h.Dst.Is6(), p.In)
	p.Forwarding = &diagnose.Forwarding{On: fwd.On, Evidence: fwd.Evidence, Fix: fwd.Fix}
	if len(walk.Decision.Hops) > 0 {
		if next := snap.NextHop(h.Dst, walk.Decision.Hops[0]); next.Resolves {
			p.NextHop = w.nextHop(next)
		}
	}
	if f.Side == diagnose.SideB && s == diagnose.FromTunnel {
		p.Conntrack = tracked(pkt.First)
	}
}

// update asks about what no traced packet tells: the way back of an answer that
// this host itself would give, and whether a neighbour answers meanwhile.
func (w *kernelWatch) update(f *diagnose.Facts) {
	f.Kernel.Lost = w.lost()
	if f.Side != diagnose.SideB || f.Flow == nil || f.Flow.Seen[probe.B4] == nil || f.Flow.Seen[probe.B7] != nil {
		return
	}
	forth, back := &f.Kernel.Passages[diagnose.FromTunnel], &f.Kernel.Passages[diagnose.ToTunnel]
	if back.Packets > 0 || forth.Packets == 0 {
		return
	}
	if f.Flow.Route.Local && back.Way.Kind == diagnose.RouteUnknown {
		back.Way = wayFrom(f.Flow.Target.Addr(), forth.Src, 0, 0, w.link)
	}
	if n := forth.NextHop; n != nil && time.Since(w.looked) > look*3 {
		w.looked = time.Now()
		if snap, err := routing.Take(routing.Options{Only: []netip.Addr{n.Addr}}); err == nil {
			if l := snap.Link(n.Link); l != nil {
				forth.NextHop = w.nextHop(snap.NextHop(n.Addr, routing.Hop{Dev: n.Link, Link: l.Index}))
			}
		}
	}
}

// nextHop words what is known of a neighbour. One that was asked for only a moment
// ago may yet answer.
func (w *kernelWatch) nextHop(n routing.NextHop) *diagnose.NextHop {
	if w.asked.IsZero() {
		w.asked = time.Now()
	}
	silent := n.Unreachable() && (n.Neighbor.State == routing.NeighborFailed || time.Since(w.asked) > neighborTime)
	return &diagnose.NextHop{Unreachable: silent, Evidence: n.Evidence(), Addr: n.Addr, Link: n.Dev}
}

// tracked asks connection tracking about a flow, nil if it does not know it.
func tracked(h netfilter.Header) *diagnose.Conntrack {
	e, err := conntrack.Get(conntrack.Tuple{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SrcPort: h.SrcPort, DstPort: h.DstPort,
		ICMPType: h.ICMPType, ICMPCode: h.ICMPCode, ICMPID: h.ICMPID}, 0)
	if err != nil {
		return nil // there is none, or it cannot be read: nothing is claimed
	}
	_, snat := e.SNAT()
	return &diagnose.Conntrack{Text: e.String(), Unreplied: e.Unreplied(), SNAT: snat}
}

// decided words a walk as a fact.
func decided(w *routing.Walk, s *routing.Snapshot) diagnose.Route {
	d := &w.Decision
	r := diagnose.Route{Interface: d.OutLink(), Gateway: d.Gateway(), Source: d.PrefSrc, Local: d.Type == routing.TypeLocal,
		Remove: d.Delete()}
	switch d.Type {
	case routing.TypeNone:
		r.Kind = diagnose.RouteNone
	case routing.TypeUnreachable:
		r.Kind = diagnose.RouteUnreachable
	case routing.TypeProhibit:
		r.Kind = diagnose.RouteProhibited
	case routing.TypeBlackhole:
		r.Kind = diagnose.RouteBlackhole
	default:
		r.Kind = diagnose.RouteFound
	}
	switch {
	case d.Route != nil:
		r.Text = d.Route.String()
		r.Beatable = !d.Route.Dst.IsSingleIP() && (d.Table == routing.Main || mainFirst(s, d.Rule))
	default:
		r.Text = d.Type.String()
	}
	if d.Rule != nil {
		r.By = d.Rule.String()
	}
	return r
}

// mainFirst reports whether the main table is asked before the rule that decided,
// so that a route there would have won.
func mainFirst(s *routing.Snapshot, decided *routing.Rule) bool {
	if decided == nil {
		return false
	}
	rules := s.Rules4
	if decided.IPv6 {
		rules = s.Rules6
	}
	for i := range rules {
		r := &rules[i]
		if r.Priority >= decided.Priority {
			break
		}
		everything := !r.Not && !r.From.IsValid() && !r.To.IsValid() && r.Mark == 0 && r.MarkMask == 0 && r.IIF == "" && r.OIF == "" && r.IPProto == 0
		if everything && r.Action == routing.ActionTable && r.Table == routing.Main {
			return true
		}
	}
	return false
}

// wayOf asks which way this host's own packets to an address go.
func wayOf(dst netip.AddrPort, proto uint8, mark uint32, link string) diagnose.Route {
	return wayFrom(netip.Addr{}, dst, proto, mark, link)
}

// wayFrom is wayOf for packets whose source is known.
func wayFrom(src netip.Addr, dst netip.AddrPort, proto uint8, mark uint32, link string) diagnose.Route {
	snap, walk, err := routing.Explain(routing.Flow{Src: src, Dst: dst.Addr(), DPort: dst.Port(), Proto: proto, Mark: mark, UID: uint32(os.Geteuid())})
	if err != nil {
		return diagnose.Route{Text: err.Error()}
	}
	r := decided(&walk, snap)
	if r.Kind == diagnose.RouteFound && r.Interface == link {
		r.Around = snap.Around(dst.Addr(), link)
	}
	return r
}

// accept returns the command that lets packets pass the chain that dropped one.
func accept(r netfilter.Rule, pkt *netfilter.Packet, service func(port uint16) bool) []string {
	h := pkt.First
	if len(pkt.Visits) > 0 {
		h = pkt.Visits[len(pkt.Visits)-1].Header
	}
	if r.Program == "iptables" || r.Program == "ip6tables" {
		args := []string{r.Program, "-t", r.Table.Name, "-I", r.Chain, "-s", h.Src.String(), "-d", h.Dst.String(), "-p", probe.ProtocolName(h.Proto)}
		switch {
		case service(h.SrcPort):
			args = append(args, "--sport", fmt.Sprint(h.SrcPort))
		case service(h.DstPort):
			args = append(args, "--dport", fmt.Sprint(h.DstPort))
		}
		return []string{strings.Join(append(args, "-j", "ACCEPT"), " ")}
	}
	ip := "ip"
	if h.Src.Is6() {
		ip = "ip6"
	}
	match := fmt.Sprintf("%s saddr %s %s daddr %s", ip, h.Src, ip, h.Dst)
	switch {
	case service(h.DstPort):
		match += fmt.Sprintf(" %s dport %d", probe.ProtocolName(h.Proto), h.DstPort)
	case service(h.SrcPort):
		match += fmt.Sprintf(" %s sport %d", probe.ProtocolName(h.Proto), h.SrcPort)
	default:
		match += fmt.Sprintf(" meta l4proto %d", h.Proto)
	}
	return []string{fmt.Sprintf("nft insert rule %s %s %s %s accept", r.Table.Family, r.Table.Name, r.Chain, match)}
}

// services tells which ports stand for a service: the others were made up for
// one connection, and the next one has another.
func services(f *diagnose.Facts, s diagnose.Stretch, pkt *netfilter.Packet) func(port uint16) bool {
	h := pkt.Last
	translated := uint16(0) // the service's, where a port forward leads to it
	switch {
	case f.Side == diagnose.SideB && s == diagnose.FromTunnel, f.Side == diagnose.SideA && s == diagnose.ToTunnel:
		translated = h.DstPort
	case s == diagnose.ToTunnel, s == diagnose.FromTunnel:
		translated = h.SrcPort
	}
	return func(port uint16) bool {
		switch {
		case port == 0:
			return false
		case port == translated:
			return true
		case f.Flow != nil && port == f.Flow.Target.Port(), port == f.ListenPort:
			return true
		}
		return f.Peer != nil && port == f.Peer.Endpoint.Port()
	}
}

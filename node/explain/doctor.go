package explain

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/key"
)

// history is how far back a doctor looks.
const history = 5 * time.Minute

// DoctorRequest is what a doctor is to do. It is also the body of the control
// socket's request.
type DoctorRequest struct {
	// For is how long to watch what passes, beside what has passed already.
	For time.Duration `json:"for,omitempty"`
	// Provoke asks every peer that has an endpoint and no session for a
	// handshake, so that there is something to judge.
	Provoke bool `json:"provoke,omitempty"`
	// Settled stops as soon as nothing more can be learnt about any peer that
	// was provoked or is expected to call.
	Settled bool `json:"settled,omitempty"`
	// VerdictsOnly leaves out the findings, which take a look at the whole host.
	VerdictsOnly bool `json:"verdicts_only,omitempty"`
}

// Doctor says how each peer fares, and who else shakes hands with the node.
func Doctor(ctx context.Context, s Subject, req DoctorRequest) (*diagnose.DoctorReport, error) {
	session := observe.NewSession(look, linger)
	defer session.Close()
	session.Lazy = true // there may be thousands of peers to judge
	past := probe.SubscribeOptions{Past: true, Match: since(time.Now().Add(-history))}
	if err := session.Start(ctx, observe.Recorder(s.Tunnel.Recorder(), past, s.Settle), observe.Selection{}); err != nil {
		return nil, err
	}
	k, err := s.Knowledge()
	if err != nil {
		return nil, err
	}
	d := newDoctor(&s, req, k)
	if req.Provoke {
		s.provoke(d.col)
	}
	// Even without For, what has been recorded up to now must have been read.
	wctx, cancel := context.WithTimeout(ctx, max(req.For, linger))
	defer cancel()
	if s.Kernel && req.For > 0 {
		d.wire = newWireWatch(s.Interface, session.WatchKernel(wctx, messages(d.facts.ListenPort)), newWhose(s.Tunnel))
	}
	session.Run(wctx, d)
	if d.wire != nil {
		d.wire.watch.whose.end()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := d.report()
	if req.Provoke && d.facts.Level.Kernel() {
		r.Unchecked = append(r.Unchecked, "whether peers without a session answer: the kernel's WireGuard begins handshakes by itself alone, "+
			"when it has something to send")
	}
	if !req.VerdictsOnly {
		s.addFindings(ctx, r)
		r.Findings = append(r.Findings, rules.Strangers(d.facts, known(d.now, s.strangers(d.col.Strangers)))...)
	}
	switch {
	case d.wire != nil:
		d.wire.complete(r)
	case req.For > 0 && !req.VerdictsOnly:
		r.Unchecked = append(r.Unchecked, kernelUnasked)
	}
	return r, nil
}

// doctor is one run of Doctor.
type doctor struct {
	*Subject
	req   DoctorRequest
	know  collect.Knowledge
	facts *diagnose.Facts
	col   *collect.Collector
	wire  *wireWatch     // nil: the kernel is not watched
	now   *config.Config // the file, nil if nothing is to be said of it
	// otherwise is what that says otherwise than the tunnel.
	otherwise map[key.Public][]diagnose.Unapplied
	looked    map[netip.AddrPort]found // up, where messages to an endpoint go
}

func newDoctor(s *Subject, req DoctorRequest, k collect.Knowledge) *doctor {
	d := &doctor{Subject: s, req: req, know: k, facts: collect.FactsFrom(k), col: collect.CollectorFor(k),
		looked: make(map[netip.AddrPort]found)}
	if !req.VerdictsOnly { // which are asked for often
		d.now = s.filed()
	}
	d.otherwise = s.unapplied(d.now, d.facts.PublicKey)
	d.col.Latest = true
	return d
}

// Add implements [observe.Policy].
func (d *doctor) Add(o *observe.Observation) {
	if o.Packet != nil {
		d.wire.add(d.facts, d.col, o.Packet)
	}
	if o.Dropped != nil {
		d.wire.addDrop(d.facts, d.col, o.Dropped)
	}
	if o.Initiation != nil {
		d.wire.watch.whose.heard(o.Initiation)
	}
	for i := range o.Events {
		d.col.Add(&o.Events[i])
	}
}

// Look implements [observe.Policy].
func (d *doctor) Look(context.Context) observe.State {
	if d.wire != nil {
		d.wire.watch.whose.late(time.Now())
	}
	if d.req.Settled && d.settled() {
		return observe.Complete
	}
	return observe.Open
}

func since(t time.Time) func(*probe.Event) bool {
	from := t.UnixNano()
	return func(e *probe.Event) bool { return e.Time >= from }
}

func (s *Subject) provoke(c *collect.Collector) {
	for id, p := range c.Peers {
		if p.Endpoint.IsValid() && !p.Handshake.Alive(time.Now()) {
			// There is an event of each that fails, as of any send.
			_ = s.Tunnel.InitiateHandshake(key.Public(s.Tunnel.PeerState(id).Key))
		}
	}
}

// refresh brings all peers up to date, and looks the routes of new endpoints up.
func (d *doctor) refresh() {
	var lacking []netip.AddrPort
	for id, p := range d.col.Peers {
		collect.Refresh(p, d.know.State(id))
		for _, to := range []netip.AddrPort{p.Endpoint, sayer(p)} {
			if _, ok := d.looked[to]; !ok && to.IsValid() {
				d.looked[to] = found{} // peers may have one in common, and there may be thousands
				lacking = append(lacking, to)
			}
		}
	}
	maps.Copy(d.looked, d.endpointRoutes(d.facts.ListenPort, d.facts.FwMark, lacking))
	for _, p := range d.col.Peers {
		p.Route, p.ICMPHere = d.looked[p.Endpoint].RouteDecision, d.looked[sayer(p)].Local
		if p.XfrmBlocks = nil; d.Kernel && p.SendErrno == syscall.EPERM && p.Endpoint.IsValid() {
			p.XfrmBlocks = observe.SendBlocks(p.Endpoint, probe.ProtoUDP)
		}
	}
}

// about returns the facts about one peer.
func (d *doctor) about(id probe.PeerID, p *diagnose.Peer) *diagnose.Facts {
	of := *d.facts
	of.Peer, of.Side, of.Kernel = p, sideOf(p), d.wire.of(id)
	if p.Disallowed != nil {
		src, _ := p.Disallowed.Inner()
		of.Owner = d.col.Peers[d.know.Lookup(src.Addr())]
		of.Back, _ = d.back(p, nil, netip.Addr{})
	}
	of.Unapplied = slices.Concat(d.otherwise[key.Public{}], d.otherwise[p.Key])
	return &of
}

// sideOf is the side that this host has been on lately.
func sideOf(p *diagnose.Peer) probe.Side {
	if p.Seen[probe.B1] != nil && (p.Seen[probe.A2] == nil || p.Seen[probe.B1].Time > p.Seen[probe.A2].Time) {
		return probe.SideB
	}
	return probe.SideA
}

// settled reports whether nothing more can be learned about any peer that has an endpoint.
func (d *doctor) settled() bool {
	d.refresh()
	for id, p := range d.col.Peers {
		if _, ok := rules.Judge(d.about(id, p), time.Now()); !ok && (p.Endpoint.IsValid() || p.Written != "") {
			return false
		}
	}
	return true
}

func (d *doctor) report() *diagnose.DoctorReport {
	r := &diagnose.DoctorReport{Interface: d.Interface, Level: d.facts.Level, MTU: d.MTU, Drops: dropsByName(d.Tunnel.PeerState(0).Drops)}
	d.judge(func(_ probe.PeerID, _ key.Public, one *diagnose.PeerReport) { r.Peers = append(r.Peers, *one) })
	return r
}

// judge calls fn with what there is to say of each peer.
func (d *doctor) judge(fn func(probe.PeerID, key.Public, *diagnose.PeerReport)) {
	now := time.Now()
	clear(d.looked) // the routes may have changed meanwhile
	d.refresh()
	d.col.Exchanges()
	for _, ps := range d.Tunnel.Peers() {
		p := d.col.Peers[ps.ID]
		if p == nil {
			continue
		}
		one := peerReport(d.about(ps.ID, p), now)
		one.Drops = dropsByName(ps.Drops)
		fn(ps.ID, p.Key, &one)
	}
}

// peerReport is what a doctor says of the peer that the facts are about.
func peerReport(of *diagnose.Facts, now time.Time) diagnose.PeerReport {
	v, _ := rules.Judge(of, now)
	of.Side = cmp.Or(v.Checkpoint.Side(), of.Side)
	return diagnose.PeerReport{Peer: of.Peer.KeyText(), PeerName: of.Peer.Name, Side: of.Side,
		State: of.State(&v, now), HandshakeAge: of.Peer.Handshake.Age(now), Endpoint: of.Peer.Whereabouts(),
		Verdict: v, Ladder: of.Ladder(&v, now)}
}

func dropsByName(drops map[probe.Reason]uint64) map[string]uint64 {
	names := make(map[string]uint64, len(drops))
	for reason, n := range drops {
		names[reason.String()] = n
	}
	return names
}

//go:build linux

package explain

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
)

const (
	// repeatedAfter is how long after a request the same again means that it had no
	// answer, or one that did not arrive. TCP repeats after a second.
	repeatedAfter = 500 * time.Millisecond
	// followedAtOnce and followedInAll bound how many flows an observer looks into,
	// followedFor how long.
	followedAtOnce = 8
	followedInAll  = 64
	followedFor    = 20 * time.Second
	requestsKept   = 1024
	remotesKept    = 256 // that are no peer's endpoint
	// routesKept bounds for how many addresses it is asked where their messages go.
	routesKept = 16
)

// Observer finds out, while packets are recorded, what their events do not say: what
// this host's kernel does with encrypted packets, and with those of flows whose
// requests are repeated in vain. It is for recordings that are judged elsewhere.
type Observer struct {
	s       Subject
	ctx     context.Context
	cancel  context.CancelFunc
	session *observe.Session         // of all messages
	seen    *evidence.KernelEvidence // what could not be seen of them
	wire    kernelWatch
	wg      sync.WaitGroup
	ran     chan struct{} // closed when nothing is observed any more
	unseen  []string      // what is not observed, beside what seen says
	device  uint32        // the index of the tunnel's interface, 0: what the kernel drops is not recorded
	ending  atomic.Bool   // the end was asked for
	missed  atomic.Uint64 // drops that were counted alone
	crowded atomic.Uint64 // drops that there was no room for

	mu       sync.Mutex
	kernels  map[netip.AddrPort]*evidence.KernelEvidence // guarded by mu: by the other end
	others   int                                         // guarded by mu: of them that were no peer's endpoint
	peers    map[netip.AddrPort]probe.PeerID             // guarded by mu: who was found to be at the other end
	found    []evidence.Observations                     // guarded by mu: of flows
	followed map[followedFlow]bool                       // guarded by mu: false once that is over
	dropped  []Dropped                                   // guarded by mu: what the kernel has, for the recording
	facts    *diagnose.Facts
	closed   bool // of Close's caller alone

	requests map[request]time.Time // of Recorded's caller alone
}

// followedFlow is one that was looked into.
type followedFlow struct {
	target netip.AddrPort
	from   netip.Addr
}

// request is what repeats if it is not answered.
type request struct {
	seam     probe.Seam
	src, dst probe.Addr
	sport    uint16
	dport    uint16
	proto    uint8
}

// NewObserver begins to observe. Close must be called. Where there is no kernel to
// watch it returns nil, which observes nothing.
func NewObserver(ctx context.Context, s Subject) (*Observer, error) {
	if !s.Kernel {
		return nil, nil
	}
	k, err := s.Knowledge()
	if err != nil {
		return nil, err
	}
	f := collect.FactsFrom(k)
	o := &Observer{s: s, facts: f, session: observe.NewSession(observerLook, 0),
		wire:    kernelWatch{link: s.Interface, whose: newWhose(s.Tunnel)},
		kernels: make(map[netip.AddrPort]*evidence.KernelEvidence), peers: make(map[netip.AddrPort]probe.PeerID),
		ran: make(chan struct{}), followed: make(map[followedFlow]bool), requests: make(map[request]time.Time)}
	for ep := range o.endpoints() {
		o.kernels[ep] = &evidence.KernelEvidence{} // there is room for them, whatever else comes
	}
	o.ctx, o.cancel = context.WithCancel(ctx)
	o.session.Lazy = true
	sel := messages(f.ListenPort)
	if sel.Tunnel, err = s.tunnelPackets(k); err == nil {
		o.device = sel.Tunnel.Device
	}
	o.seen = o.session.WatchKernel(o.ctx, sel)
	if err != nil {
		o.unseen = append(o.unseen, "what the kernel drops of packets in the tunnel: "+err.Error())
	}
	go func() {
		defer close(o.ran)
		o.session.Run(o.ctx, (*observing)(o))
	}()
	return o, nil
}

// endpoints are the keys of the peers, by where they are now.
func (o *Observer) endpoints() map[netip.AddrPort]string {
	peers := make(map[netip.AddrPort]string)
	for _, ps := range o.s.Tunnel.Peers() {
		if ps.Configured && ps.Endpoint.IsValid() {
			peers[ps.Endpoint] = ps.Key.Base64()
		}
	}
	return peers
}

// add takes in what the kernel does with an encrypted packet.
func (o *Observer) add(seen *observe.Observation) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wire.whose.late(now)
	switch pkt := seen.Packet; {
	case seen.Initiation != nil:
		o.wire.whose.heard(seen.Initiation)
	case pkt != nil:
		o.wire.whose.ask(pkt.Head(), pkt.Match.On == evidence.ToWire, sentFrom(pkt), now, func(b belongs) { o.put(pkt, b) })
	case seen.Dropped != nil:
		if seen.Dropped.Matched {
			o.addDrop(seen.Dropped, now)
		}
		o.record(seen.Dropped)
	}
}

// put takes in a packet of which it is known whose it is. o.mu must be held.
func (o *Observer) put(pkt *observe.Packet, b belongs) {
	k := o.kernel(remoteOf(pkt), b)
	if k == nil {
		return
	}
	known := evidence.Claimed
	if b.peer != 0 {
		known = b.known
	}
	f := *o.facts
	f.Kernel = k
	o.wire.add(&f, pkt, known, nil) // Close says who it is
}

// kernel is what the kernel does with packets from and to an address, of which one has turned
// out to be somebody's; nil if there is no room for another address. o.mu must be held.
func (o *Observer) kernel(remote netip.AddrPort, b belongs) *evidence.KernelEvidence {
	k := o.kernels[remote]
	if k == nil {
		if b.peer == 0 {
			if o.others >= remotesKept {
				return nil
			}
			o.others++
		}
		k = &evidence.KernelEvidence{}
		o.kernels[remote] = k
	}
	if b.peer != 0 {
		if was := o.peers[remote]; was != 0 && was != b.peer {
			*k = evidence.KernelEvidence{} // another is there now
		}
		o.peers[remote] = b.peer
	}
	return k
}

// Recorded takes an event that is recorded into account. It does not wait, and keeps
// nothing of it. Calls must not overlap.
func (o *Observer) Recorded(e *probe.Event) {
	if o == nil || e.Kind != probe.KindInner || e.Dropped() {
		return
	}
	_, answers := e.ICMPEcho()
	r := request{e.Seam, e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort, e.Proto}
	switch {
	case answers:
		// The request went the other way, and its sequence number is not the flow's.
		for _, seam := range []probe.Seam{probe.SeamTUNRead, probe.SeamTUNWrite} {
			delete(o.requests, request{seam, e.InnerDst, e.InnerSrc, e.InnerSrcPort, 0, e.Proto})
		}
	case e.Opens():
		if e.Proto != probe.ProtoTCP {
			r.dport = 0
		}
		first, again := o.requests[r]
		if !again {
			if len(o.requests) >= requestsKept {
				clear(o.requests)
			}
			o.requests[r] = e.When()
		} else if e.When().Sub(first) >= repeatedAfter {
			delete(o.requests, r)
			o.follow(e)
		}
	}
}

// follow looks into a flow from now on, as a passive explanation does.
func (o *Observer) follow(e *probe.Event) {
	k := followedFlow{target: netip.AddrPortFrom(e.InnerDst.Netip(), e.InnerDstPort), from: e.InnerSrc.Netip()}
	if e.Proto != probe.ProtoTCP {
		k.target = netip.AddrPortFrom(k.target.Addr(), 0)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.followed[k]; ok || len(o.followed) >= followedInAll || o.busy() >= followedAtOnce {
		return
	}
	o.followed[k] = true
	o.wg.Go(func() {
		from := netip.PrefixFrom(k.from, k.from.BitLen())
		found := o.s.observeFlow(o.ctx, Request{Target: k.target, Passive: true, From: from, Timeout: followedFor})
		o.mu.Lock()
		defer o.mu.Unlock()
		o.followed[k] = false
		o.found = append(o.found, found...)
	})
}

// busy is how many flows are looked into. o.mu must be held.
func (o *Observer) busy() (n int) {
	for _, still := range o.followed {
		if still {
			n++
		}
	}
	return n
}

// observeFlow follows a flow until the verdict is settled or ctx ends, and returns what
// was found out. It is no error that nothing can be found out.
func (s *Subject) observeFlow(ctx context.Context, req Request) []evidence.Observations {
	x, err := newExplanation(ctx, *s, req)
	if err != nil {
		return nil
	}
	defer x.session.Close()
	x.facts.Since = x.started
	ctx, cancel := context.WithTimeout(ctx, req.Timeout)
	defer cancel()
	x.watchKernel(ctx)
	x.session.Run(ctx, x)
	x.kernel.whose.end()
	found := []evidence.Observations{{Target: x.flow.Target, Side: x.facts.Side, Route: x.flow.Route, Kernel: x.facts.Kernel}}
	if on := x.facts.Onward; on != nil {
		found = append(found, evidence.Observations{Target: x.flow.Target, Side: on.Side, Route: x.flow.Route, Kernel: on.Kernel})
	}
	return found
}

// Close ends the observation and returns what was found out. It waits until nothing is
// observed any more.
func (o *Observer) Close() []evidence.Observations {
	if o == nil || o.closed {
		return nil
	}
	o.closed = true
	o.End()
	<-o.ran // so that the sources have told all
	o.cancel()
	o.wg.Wait()
	o.session.Drain((*observing)(o)) // what was traced before
	o.missed.Store(o.seen.DropsMissed)
	o.session.Close()
	o.wire.whose.end()
	o.seen.Limits = slices.Concat(o.seen.Limits, o.unseen)
	all := evidence.Observations{Kernel: o.seen}
	peers := o.endpoints()
	for ep := range peers {
		if o.kernels[ep] == nil {
			o.kernels[ep] = &evidence.KernelEvidence{}
		}
	}
	for remote, id := range o.peers {
		if ps := o.s.Tunnel.PeerState(id); ps.Configured {
			peers[remote] = ps.Key.Base64()
		}
	}
	var routed []netip.AddrPort
	for remote, k := range o.kernels {
		t := evidence.WireObservations{Remote: remote, Peer: peers[remote], From: k.FromWire, To: k.ToWire}
		if len(all.Wire) < routesKept || t.Peer != "" && len(peers) <= routesKept {
			routed = append(routed, remote)
		}
		all.Wire = append(all.Wire, t)
	}
	routes := o.s.endpointRoutes(o.facts.ListenPort, o.facts.FwMark, routed)
	for i := range all.Wire {
		all.Wire[i].Route = routes[all.Wire[i].Remote].RouteDecision
	}
	slices.SortFunc(all.Wire, func(a, b evidence.WireObservations) int {
		return cmp.Or(a.Remote.Addr().Compare(b.Remote.Addr()), cmp.Compare(a.Remote.Port(), b.Remote.Port()))
	})
	return append(o.found, all)
}

//go:build linux

package explain

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
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
	// waysKept bounds for how many addresses it is asked where their messages go.
	waysKept = 16
)

// Observer finds out, while packets are recorded, what their events do not tell: what
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

	mu       sync.Mutex
	kernels  map[netip.AddrPort]*evidence.KernelEvidence // guarded by mu: by the other end
	others   int                                         // guarded by mu: of them that were no peer's endpoint
	heard    []evidence.Observations                     // guarded by mu
	followed map[followedFlow]bool                       // guarded by mu: false once that is over
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

// NewObserver begins to watch. Close must be called. It returns nil, which is of no
// use but does no harm, where there is no kernel to watch.
func NewObserver(ctx context.Context, s Subject) (*Observer, error) {
	if !s.Kernel {
		return nil, nil
	}
	k, err := s.Knowledge()
	if err != nil {
		return nil, err
	}
	f := collect.FactsFrom(k)
	w := &Observer{s: s, facts: f, session: observe.NewSession(0, 0), wire: kernelWatch{link: s.Interface},
		kernels: make(map[netip.AddrPort]*evidence.KernelEvidence), followed: make(map[followedFlow]bool),
		requests: make(map[request]time.Time)}
	for ep := range w.endpoints() {
		w.kernels[ep] = &evidence.KernelEvidence{} // whoever else calls, those have room
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.seen = w.session.WatchKernel(w.ctx, messages(f.ListenPort))
	w.wg.Go(func() { w.session.Run(w.ctx, observe.Collect(w.add)) })
	return w, nil
}

// endpoints are the keys of the peers, by where they are now.
func (w *Observer) endpoints() map[netip.AddrPort]string {
	peers := make(map[netip.AddrPort]string)
	for _, ps := range w.s.Tunnel.Peers() {
		if ps.Configured && ps.Endpoint.IsValid() {
			peers[ps.Endpoint] = ps.Key.Base64()
		}
	}
	return peers
}

// add takes in what the kernel does with an encrypted packet.
func (w *Observer) add(o *observe.Observation) {
	if o.Packet == nil {
		return
	}
	remote := remoteOf(o.Packet)
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kernels[remote]
	if k == nil {
		if w.others >= remotesKept {
			return
		}
		w.others++
		k = &evidence.KernelEvidence{}
		w.kernels[remote] = k
	}
	f := *w.facts
	f.Kernel = k
	w.wire.add(&f, o.Packet)
}

// Recorded takes an event that is recorded into account. It does not wait, and keeps
// nothing of it. Calls must not overlap.
func (w *Observer) Recorded(e *probe.Event) {
	if w == nil || e.Kind != probe.KindInner || e.Dropped() {
		return
	}
	asks, answers := false, false
	switch e.Proto {
	case probe.ProtoTCP:
		asks = e.Info&(probe.TCPSyn|probe.TCPAck) == probe.TCPSyn
	case probe.ProtoICMP, probe.ProtoICMPv6:
		asks, answers = e.ICMPEcho()
	}
	r := request{e.Seam, e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort, e.Proto}
	switch {
	case answers:
		// The request went the other way, and its sequence number is not the flow's.
		for _, seam := range []probe.Seam{probe.SeamTUNRead, probe.SeamTUNWrite} {
			delete(w.requests, request{seam, e.InnerDst, e.InnerSrc, e.InnerSrcPort, 0, e.Proto})
		}
	case asks && e.Proto != probe.ProtoTCP:
		r.dport = 0
		fallthrough
	case asks:
		first, again := w.requests[r]
		if !again {
			if len(w.requests) >= requestsKept {
				clear(w.requests)
			}
			w.requests[r] = e.When()
		} else if e.When().Sub(first) >= repeatedAfter {
			delete(w.requests, r)
			w.follow(e)
		}
	}
}

// follow looks into a flow from now on, as a passive explanation does.
func (w *Observer) follow(e *probe.Event) {
	k := followedFlow{target: netip.AddrPortFrom(e.InnerDst.Netip(), e.InnerDstPort), from: e.InnerSrc.Netip()}
	if e.Proto != probe.ProtoTCP {
		k.target = netip.AddrPortFrom(k.target.Addr(), 0)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.followed[k]; ok || len(w.followed) >= followedInAll || w.busy() >= followedAtOnce {
		return
	}
	w.followed[k] = true
	w.wg.Go(func() {
		from := netip.PrefixFrom(k.from, k.from.BitLen())
		heard := w.s.testify(w.ctx, Request{Target: k.target, Passive: true, From: from, Timeout: followedFor})
		w.mu.Lock()
		defer w.mu.Unlock()
		w.followed[k] = false
		w.heard = append(w.heard, heard...)
	})
}

// busy is how many flows are looked into. w.mu must be held.
func (w *Observer) busy() (n int) {
	for _, still := range w.followed {
		if still {
			n++
		}
	}
	return n
}

// testify follows a flow until the verdict is settled or ctx ends, and returns what
// was found out. That nothing can be found out is no error: there is nothing to
// tell then.
func (s *Subject) testify(ctx context.Context, req Request) []evidence.Observations {
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
	heard := []evidence.Observations{{Target: x.flow.Target, Side: x.facts.Side, Route: x.flow.Route, Kernel: x.facts.Kernel}}
	if on := x.facts.Onward; on != nil {
		heard = append(heard, evidence.Observations{Target: x.flow.Target, Side: on.Side, Route: x.flow.Route, Kernel: on.Kernel})
	}
	return heard
}

// Close ends the watch and returns what was found out. It waits until nothing is
// watched any more.
func (w *Observer) Close() []evidence.Observations {
	if w == nil || w.closed {
		return nil
	}
	w.closed = true
	w.cancel()
	w.wg.Wait()
	w.session.Drain(observe.Collect(w.add)) // what was traced before
	w.seen.Lost = w.session.Lost()
	w.session.Close()
	all := evidence.Observations{Kernel: w.seen}
	peers := w.endpoints()
	for ep := range peers {
		if w.kernels[ep] == nil {
			w.kernels[ep] = &evidence.KernelEvidence{}
		}
	}
	for remote, k := range w.kernels {
		t := evidence.WireObservations{Remote: remote, Peer: peers[remote], From: k.FromWire, To: k.ToWire}
		if len(all.Wire) < waysKept || t.Peer != "" && len(peers) <= waysKept {
			t.Route = wayOf(remote, probe.ProtoUDP, w.facts.FwMark, w.s.Interface)
		}
		all.Wire = append(all.Wire, t)
	}
	slices.SortFunc(all.Wire, func(a, b evidence.WireObservations) int {
		return cmp.Or(a.Remote.Addr().Compare(b.Remote.Addr()), cmp.Compare(a.Remote.Port(), b.Remote.Port()))
	})
	return append(w.heard, all)
}

//go:build linux

package explain

import (
	"context"
	"time"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Lengths in bytes of the payload of the datagrams that carry a handshake.
const (
	initiationLen = 148
	responseLen   = 92
)

// kernelWatch follows the packets of a flow through this host's kernel for as
// long as the flow is explained.
type kernelWatch struct {
	link    string
	tracer  *netfilter.Tracer // nil: nobody can look
	matches []netfilter.Match
	stretch []evidence.Segment // of each match
	packets chan *netfilter.Packet
	ended   chan struct{}
	kernel  *evidence.KernelEvidence
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
		for s := range evidence.FromTunnel + 1 {
			*x.kernel.kernel.On(s) = *old.kernel.On(s)
		}
	}
}

func newKernelWatch(link string) *kernelWatch {
	return &kernelWatch{link: link, kernel: &evidence.KernelEvidence{}, packets: make(chan *netfilter.Packet, 64), ended: make(chan struct{})}
}

// match has packets followed that are on a stretch.
func (w *kernelWatch) match(s evidence.Segment, ms ...netfilter.Match) {
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
	w.kernel.Limits = w.tracer.Unseen()
	go w.read(ctx)
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
	p := f.Kernel.On(s)
	p.Packets++
	p.At = pkt.Time
	if !handshakeSized(pkt.First) {
		p.DataAt = pkt.Time
	}
	p.Src, p.Dst = pkt.First.Source(), pkt.First.Destination()
	p.In, p.Out = link.NameOf(pkt.First.In), link.NameOf(pkt.Last.Out)
	p.Translated = translated(pkt)
	fate := pkt.Fate()
	switch fate.Outcome {
	case netfilter.Dropped:
		p.Drop, p.Lost = w.drop(f, pkt, fate), ""
	case netfilter.Passed:
		p.Drop, p.Lost, p.Passed = nil, "", fate.Hook.String()
		if s == evidence.ToTunnel && f.Side == diagnose.SideA && p.Out != w.link {
			w.changed(f, p, pkt)
		}
	case netfilter.Lost:
		if pkt.Incomplete || pkt.First.Fragment {
			break
		}
		p.Drop, p.Lost = nil, fate.Hook.String()
	}
	p.XfrmBlocks = refusedBy(p, pkt.Last)
	w.route(f, s, p, pkt)
}

// half tells which half of a flow that is passed on from one peer to another an
// encrypted packet belongs to.
func half(f *diagnose.Facts, s evidence.Segment, pkt *netfilter.Packet) *diagnose.Facts {
	if f.Onward == nil {
		return f
	}
	endpoint := f.Onward.Peer.Endpoint
	if s == evidence.ToWire && pkt.First.Destination() == endpoint || s == evidence.FromWire && pkt.First.Source() == endpoint {
		return f.Onward
	}
	return f
}

// ours tells the packets of the flow from others that look alike: those from
// the same service to somebody else.
func (w *kernelWatch) ours(f *diagnose.Facts, pkt *netfilter.Packet) bool {
	h, was := pkt.Last, w.forth
	switch s := w.stretch[pkt.Match]; {
	case f.Side == diagnose.SideB && s == evidence.FromTunnel:
		w.forth = h
	case f.Side == diagnose.SideB && s == evidence.ToTunnel:
		if was.Conntrack.Known && h.Conntrack.Known {
			return was.Conntrack.ID == h.Conntrack.ID
		}
		return pkt.First.Dst == was.Src
	}
	return true
}

//go:build linux

package explain

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// wireWatch follows the handshakes of all peers through this host's packet
// filter while a doctor watches, and a few packets of data a second.
type wireWatch struct {
	watch   *kernelWatch
	kernels map[probe.PeerID]*evidence.KernelEvidence
	// strangers are drops of calls by nobody that is known, by address.
	strangers map[netip.Addr]*evidence.Traversal
	crowd     bool // there were more
}

// strangersKept bounds how many addresses of strangers are remembered.
const strangersKept = 16

// watchWire begins to follow what comes and goes at the tunnel's port. close must
// be called.
func (s *Subject) watchWire(ctx context.Context, port uint16) *wireWatch {
	w := &wireWatch{watch: newKernelWatch(s.Interface), kernels: make(map[probe.PeerID]*evidence.KernelEvidence), strangers: make(map[netip.Addr]*evidence.Traversal)}
	for _, all := range everybody {
		in := netfilter.Match{Src: all, Proto: probe.ProtoUDP, DstPort: port}
		for _, length := range []uint16{initiationLen, responseLen} {
			w.watch.match(evidence.FromWire, onlyLength(in, length))
			w.watch.match(evidence.ToWire, onlyLength(in.Reverse(), length))
		}
		w.watch.match(evidence.FromWire, busy(in))
		w.watch.match(evidence.ToWire, busy(in.Reverse()))
	}
	w.watch.start(ctx)
	return w
}

// packets is where the walks come; nil if nobody watches.
func (w *wireWatch) packets() <-chan *netfilter.Packet {
	if w == nil {
		return nil
	}
	return w.watch.packets
}

func (w *wireWatch) close() {
	if w != nil {
		w.watch.close()
	}
}

// add puts a walk down to the peer that it is about.
func (w *wireWatch) add(f *diagnose.Facts, c *diagnose.Collector, pkt *netfilter.Packet) {
	remote := pkt.First.Source()
	if w.watch.stretch[pkt.Match] == evidence.ToWire {
		remote = pkt.First.Destination()
	}
	for id, p := range c.Peers {
		if p.Endpoint == remote {
			of := *f
			of.Peer, of.Kernel = p, w.of(id)
			w.watch.add(&of, pkt)
			return
		}
	}
	of := *f
	of.Kernel = &evidence.KernelEvidence{}
	w.watch.add(&of, pkt)
	if p := &of.Kernel.FromWire; p.Drop != nil {
		w.stranger(remote.Addr(), p)
	}
}

// stranger remembers a drop. Anyone can call from any number of addresses: those that
// came first stay.
func (w *wireWatch) stranger(from netip.Addr, p *evidence.Traversal) {
	if _, ok := w.strangers[from]; ok || len(w.strangers) < strangersKept {
		w.strangers[from] = p
		return
	}
	w.crowd = true
}

// of returns what was seen of a peer's packets; nil if nobody watches.
func (w *wireWatch) of(id probe.PeerID) *evidence.KernelEvidence {
	if w == nil {
		return nil
	}
	k := w.kernels[id]
	if k == nil {
		k = &evidence.KernelEvidence{}
		w.kernels[id] = k
	}
	return k
}

// complete adds to a report what is no peer's: packets that this host drops
// though they may be one's, and what could not be seen.
func (w *wireWatch) complete(r *diagnose.DoctorReport) {
	if w == nil {
		return
	}
	seen := w.watch.kernel
	seen.Lost = w.watch.lost()
	if seen.Blind != "" {
		r.Unchecked = append(r.Unchecked, "what netfilter does with the tunnel's packets: "+seen.Blind)
	}
	r.Unchecked = append(r.Unchecked, seen.Missed()...)
	if w.crowd {
		r.Unchecked = append(r.Unchecked, fmt.Sprintf("what this host drops of more than %d addresses that call", strangersKept))
	}
	for _, from := range slices.SortedFunc(maps.Keys(w.strangers), netip.Addr.Compare) {
		p := w.strangers[from]
		rule := p.Drop.Rule
		if rule != "" {
			rule = ": " + rule
		}
		r.Findings = append(r.Findings, diagnose.Finding{Code: diagnose.UnderlayInputFirewall, Fix: fix.Commands(p.Drop.Fix...),
			Summary: fmt.Sprintf("%s what %s sends to the tunnel's port%s", p.Drop.By(), from, rule)})
	}
}

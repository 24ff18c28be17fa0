//go:build linux

package explain

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// wireWatch takes in what the handshakes of all peers, and a few packets of data a
// second, met in this host's packet filter while a doctor watches.
type wireWatch struct {
	watch   kernelWatch
	seen    *evidence.KernelEvidence // what could not be seen
	kernels map[probe.PeerID]*evidence.KernelEvidence
	// strangers are drops of initiations by unknown hosts, by address.
	strangers map[netip.Addr]*evidence.Traversal
	crowd     bool // there were more
}

// strangersKept bounds how many addresses of strangers are remembered.
const strangersKept = 16

func newWireWatch(link string, seen *evidence.KernelEvidence, whose *whose) *wireWatch {
	return &wireWatch{watch: kernelWatch{link: link, whose: whose}, seen: seen, kernels: make(map[probe.PeerID]*evidence.KernelEvidence),
		strangers: make(map[netip.Addr]*evidence.Traversal)}
}

// add puts a walk down to the peer that it is of, once that is known.
func (w *wireWatch) add(f *diagnose.Facts, c *collect.Collector, pkt *observe.Packet) {
	sent := pkt.Match.On == evidence.ToWire
	w.watch.whose.ask(pkt.Head(), sent, sentFrom(pkt), time.Now(), func(b belongs) { w.put(f, c, pkt, b) })
}

// put is add of a packet of which it is known whose it is. One that anybody could have sent is
// put down to the peer that is where it came from.
func (w *wireWatch) put(f *diagnose.Facts, c *collect.Collector, pkt *observe.Packet, b belongs) {
	remote := remoteOf(pkt)
	for id, p := range c.Peers {
		if id == b.peer || b.peer == 0 && b.known == evidence.Claimed && p.Endpoint == remote {
			of := *f
			of.Peer, of.Kernel = p, w.of(id)
			w.watch.add(&of, pkt, b.known, p)
			return
		}
	}
	of := *f
	of.Kernel = &evidence.KernelEvidence{}
	w.watch.add(&of, pkt, b.known, nil)
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

// of returns what was seen of a peer's packets; nil where the kernel is not watched.
func (w *wireWatch) of(id probe.PeerID) *evidence.KernelEvidence {
	if w == nil {
		return nil
	}
	k := w.kernels[id]
	if k == nil {
		k = &evidence.KernelEvidence{}
		w.kernels[id] = k
	}
	k.Counters, k.Hooks = w.seen.Counters, w.seen.Hooks // of all peers' packets
	return k
}

// complete adds to a report what is no peer's: packets that this host drops
// though they may be one's, and what could not be seen.
func (w *wireWatch) complete(r *diagnose.DoctorReport) {
	if w.seen.Blind != "" {
		r.Unchecked = append(r.Unchecked, "what netfilter does with the tunnel's packets: "+w.seen.Blind)
	}
	r.Unchecked = append(r.Unchecked, w.seen.Missed()...)
	if w.crowd {
		r.Unchecked = append(r.Unchecked, fmt.Sprintf("what this host drops of more than %d addresses that call", strangersKept))
	}
	for _, from := range slices.SortedFunc(maps.Keys(w.strangers), netip.Addr.Compare) {
		p := w.strangers[from]
		rule := p.Drop.Rule
		if rule != "" {
			rule = ": " + rule
		}
		r.Findings = append(r.Findings, diagnose.Finding{Code: diagnose.UnderlayInputFirewall, Fix: fix.FromLines(p.Drop.Fix),
			Summary: fmt.Sprintf("%s what %s sends to the tunnel's port%s", p.Drop.By(), from, rule)})
	}
}

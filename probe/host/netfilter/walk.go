//go:build linux

package netfilter

import (
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// walks puts events together into packets.
//
// The kernel's id of a packet is a hash of its address in memory and its flow,
// so another packet of the same flow soon has the same. A walk therefore begins
// with a front chain of our own, whatever walk is open under that id. It ends
// with a verdict, at a gate, or, if none of these is seen, when nothing more
// comes.
//
// At the hooks of a device or a bridge, before the front and behind the gate, a packet
// has a walk of its own, which is told of only if it ends there.
type walks struct {
	own     string                   // our tables' name
	handles map[uint64]int           // of the rules of fronts, and what they select
	apart   map[uint8]map[uint64]int // the same at the hooks of devices and bridges, by family
	chains  func(family uint8, table, chain string) Chain

	open   map[uint32]*walk
	device map[uint32]*walk
	done   []*Packet
	// lossy says that events are missing between those that were read last and
	// those that come.
	lossy bool
}

type walk struct {
	packet *Packet
	last   time.Time // when its last event was read
}

// maxOpen bounds the memory for walks that do not end.
const maxOpen = 1 << 14

// add takes an event that was read at time now.
func (w *walks) add(e *event, now time.Time) {
	switch {
	case e.table == w.own && e.family == unix.NFPROTO_INET:
		w.addOwn(e, now)
	case e.table == w.own:
		w.addApart(e, now)
	case !owned(e.table): // another tracer's is none of the user's
		if open := w.find(e); open != nil {
			open.last = now
			w.addStep(open.packet, e)
		}
	}
}

// addOwn takes an event of our own table.
func (w *walks) addOwn(e *event, now time.Time) {
	if name, ok := strings.CutPrefix(e.step.Chain, frontName); ok {
		match, ok := w.handles[e.step.Handle]
		if !ok || e.step.Kind != RuleStep {
			return // traced by someone else, and not selected by us
		}
		w.begin(e, match, HookNamed(name), now)
		if len(w.open) >= maxOpen {
			w.finishOldest()
		}
		w.open[e.id] = w.device[e.id]
		delete(w.device, e.id)
		return
	}
	name, ok := strings.CutPrefix(e.step.Chain, gateName)
	open := w.find(e)
	if !ok || open == nil {
		return
	}
	p := open.packet
	p.End = HookNamed(name)
	if e.full {
		p.saw(p.End, e.header)
	}
	w.finish(e.id, open)
}

// addApart takes an event of our tables at the hooks of devices and bridges.
func (w *walks) addApart(e *event, now time.Time) {
	if match, ok := w.apart[e.family][e.step.Handle]; ok && e.step.Kind == RuleStep {
		at := Ingress
		if e.header.Out != 0 {
			at = Egress
		}
		w.begin(e, match, at, now)
	}
}

// begin starts a walk at the hooks of devices and bridges, and ends that of an older packet
// with the same id.
func (w *walks) begin(e *event, match int, at Hook, now time.Time) {
	if old := w.open[e.id]; old != nil {
		w.finish(e.id, old)
	}
	if len(w.device) >= maxOpen {
		clear(w.device) // they have passed, as a rule
	}
	w.device[e.id] = &walk{last: now, packet: &Packet{
		Match: match, Time: now, Start: at, First: e.header, Last: e.header, Incomplete: w.lossy,
	}}
}

// addStep takes an event of someone's table.
func (w *walks) addStep(p *Packet, e *event) {
	if e.full {
		chain := w.chains(e.family, e.table, e.step.Chain)
		p.saw(chain.Hook, e.header)
		p.Visits = append(p.Visits, Visit{Chain: chain, Header: e.header})
	}
	n := len(p.Visits)
	if n == 0 || p.Visits[n-1].Chain.Table.Name != e.table || p.Visits[n-1].Chain.Table.Family != familyName(e.family) {
		// The message with the headers is missing.
		p.Incomplete = true
		p.Visits = append(p.Visits, Visit{Chain: w.chains(e.family, e.table, e.step.Chain)})
		n++
	}
	v := &p.Visits[n-1]
	v.Steps = append(v.Steps, e.step)
	if a := e.step.Verdict.Action; a == Drop || a == Stolen {
		w.finish(e.id, w.find(e))
	}
}

// find returns the walk that an event belongs to, nil if none. A packet gets
// another id on its way when it is put together from fragments; then it goes
// on with the walk of the fragment that was selected.
func (w *walks) find(e *event) *walk {
	if open := w.open[e.id]; open != nil {
		return open
	}
	if open := w.device[e.id]; open != nil {
		return open
	}
	if !e.full {
		return nil
	}
	var found *walk
	var was uint32
	for id, open := range w.open {
		f := open.packet.First
		if f.Fragment && len(open.packet.Visits) == 0 && f.Src == e.header.Src && f.Dst == e.header.Dst &&
			f.In == e.header.In && (found == nil || open.last.After(found.last)) {
			found, was = open, id
		}
	}
	if found != nil {
		delete(w.open, was)
		w.open[e.id] = found
	}
	return found
}

// finish ends an open walk.
func (w *walks) finish(id uint32, open *walk) {
	delete(w.open, id)
	delete(w.device, id)
	open.packet.Incomplete = open.packet.Incomplete || w.lossy
	w.done = append(w.done, open.packet)
}

// finishQuiet ends the walks that have had no event after the given time.
func (w *walks) finishQuiet(since time.Time) {
	maps.DeleteFunc(w.device, func(_ uint32, open *walk) bool { return !open.last.After(since) })
	first := len(w.done)
	for id, open := range w.open {
		if !open.last.After(since) {
			w.finish(id, open)
		}
	}
	slices.SortFunc(w.done[first:], func(a, b *Packet) int { return a.Time.Compare(b.Time) })
}

func (w *walks) finishOldest() {
	var oldest *walk
	var id uint32
	for i, open := range w.open {
		if oldest == nil || open.last.Before(oldest.last) {
			oldest, id = open, i
		}
	}
	w.finish(id, oldest)
}

// lost notes that events were lost after those that were read.
func (w *walks) lost() { w.lossy = true }

// caughtUp notes that all events have been read that came before now: those
// that were lost are in the past of what comes.
func (w *walks) caughtUp() {
	if !w.lossy {
		return
	}
	for _, open := range w.open {
		open.packet.Incomplete = true
	}
	w.lossy = false
}

// hookOf translates the number that a hook has in a table of the family
// (linux/netfilter.h).
func hookOf(family uint8, number uint32) Hook {
	switch {
	case family == unix.NFPROTO_NETDEV && number < 2:
		return Ingress + Hook(number)
	case family == unix.NFPROTO_INET && number == unix.NF_INET_NUMHOOKS: // NF_INET_INGRESS
		return Ingress
	case (family == unix.NFPROTO_IPV4 || family == unix.NFPROTO_IPV6 || family == unix.NFPROTO_INET ||
		family == unix.NFPROTO_BRIDGE) && number < unix.NF_INET_NUMHOOKS:
		return Prerouting + Hook(number)
	}
	return HookUnknown
}

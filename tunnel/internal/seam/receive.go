package seam

import (
	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// receiver is one receive function; it is called by one goroutine.
type receiver struct {
	w     *Watch
	fn    conn.ReceiveFunc
	index uint8
	gate  gate
	prev  int
	seqs  [conn.IdealBatchSize]uint64 // what each buffer was tagged with

	ep   conn.Endpoint // the latest, and its address
	from probe.Addr
	port uint16
}

func (r *receiver) state() tag.State { return tag.Inbound4 + tag.State(r.index) }

func (r *receiver) receive(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	r.refused(bufs)
	r.gate.wait()
	n, err := r.fn(bufs, sizes, eps)
	r.prev = n
	if n > 0 {
		r.note(bufs[:n], sizes, eps)
	}
	return n, err
}

// untouched stands for the tag of a buffer that nothing came to, and that the device
// therefore leaves where it is.
const untouched = ^uint64(0)

// refused looks at the buffers of the previous call. The device takes those
// that it has use for, and puts others in their places. One that is still
// there was refused; any other that is tagged was dropped later, and has come
// back by way of the pool.
func (r *receiver) refused(bufs [][]byte) {
	tags := r.w.Tags
	for i, b := range bufs[:min(r.prev, len(bufs), len(r.seqs))] {
		if r.seqs[i] == untouched {
			continue
		}
		t, state := tags.Find(b)
		if state == tag.None {
			continue
		}
		if r.seqs[i] != 0 && state == r.state() && t.Seq() == r.seqs[i] {
			r.w.Accountant.Refused(t.Peer(), r.state(), t.Ordinal())
			t.Clear(tags.Magic)
			continue
		}
		r.w.Accountant.Reclaim(b)
	}
}

func (r *receiver) note(bufs [][]byte, sizes []int, eps []conn.Endpoint) {
	w := r.w
	tags, port := w.Tags, uint16(w.Mirror.Port.Load())
	cur := run{p: w.Mirror.Peers.Get(0)}
	now, taps := w.Mirror.Clock.Now(), w.Taps.Running()
	b := w.Recorder.Begin(probe.LaneUDPReceive)
	for i, buf := range bufs {
		if sizes[i] == 0 {
			if i < len(r.seqs) {
				r.seqs[i] = untouched
			}
			continue
		}
		if i < len(r.seqs) {
			r.seqs[i] = 0
		}
		msg := buf[:sizes[i]]
		if eps[i] != r.ep {
			ap := addrPort(eps[i])
			r.ep, r.from, r.port = eps[i], probe.AddrFrom(ap.Addr()), ap.Port()
		}
		t := tags.Of(msg, 0)
		if !isData(msg) && r.handshake(msg, now, eps[i]) {
			t.Clear(tags.Magic)
			continue
		}
		e := next(&b, probe.SeamUDPReceive, now)
		e.Info = r.index
		e.OuterSrc, e.OuterSrcPort, e.OuterDstPort = r.from, r.port, port
		taps.Outer(probe.LaneUDPReceive, e.Seq, msg)
		if e.Reason = e.DecodeOuter(msg); e.Reason == probe.ReasonNone {
			r.session(e, &cur)
		}
		if e.Reason != probe.ReasonNone {
			w.Mirror.Peers.Get(0).Drop(e.Reason, 1)
			t.Clear(tags.Magic)
			continue
		}
		if t == nil || i >= len(r.seqs) {
			w.Untagged.Add(1)
			continue
		}
		t.PutInbound(tags.Magic, r.state(), e, e.Pair)
		r.seqs[i] = e.Seq
	}
	r.flush(&cur)
	taps.End(probe.LaneUDPReceive)
	b.End()
	w.Accountant.Busy()
}

// handshake records msg if it is a well-formed handshake message, and reports
// whether it is.
func (r *receiver) handshake(msg []byte, now int64, ep conn.Endpoint) bool {
	e := probe.Event{Time: now, OuterSrc: r.from, OuterSrcPort: r.port}
	if e.DecodeOuter(msg) != probe.ReasonNone {
		return false
	}
	r.w.Handshakes.Received(msg, &e, ep)
	return true
}

// session finds whose data message e is and gives it the peer's next ordinal.
func (r *receiver) session(e *probe.Event, cur *run) {
	peer, initiator := r.w.Mirror.Local.Lookup(e.Receiver)
	if peer == 0 {
		e.Reason = probe.UnknownIndex
		return
	}
	e.Peer = peer
	// Until the packet is decrypted: the side that began the session is as
	// a rule the one that had something to send.
	e.Checkpoint = probe.B3
	if initiator {
		e.Checkpoint = probe.A5
	}
	if cur.p.ID != peer {
		r.flush(cur)
		p := r.w.Mirror.Peers.Get(peer)
		*cur = run{p: p, last: p.In[r.index].Entered.Load()}
	}
	cur.last++
	e.Pair = cur.last
}

func (r *receiver) flush(cur *run) {
	if cur.p.ID != 0 {
		r.gate.enter(&cur.p.In[r.index], cur.last)
	}
}

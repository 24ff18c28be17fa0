package tunnel

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// udpSeam is the UDP bind as the WireGuard device sees it: whatever lies under
// it, and a look at every message that passes.
type udpSeam struct {
	conn.Bind
	t *Tunnel
}

// addrPort is where ep is. Upstream's endpoints and ours can tell without
// allocating; any other has to say it in text.
func addrPort(ep conn.Endpoint) netip.AddrPort {
	switch ep := ep.(type) {
	case *conn.StdNetEndpoint:
		return ep.AddrPort
	case interface{ DstAddrPort() netip.AddrPort }:
		return ep.DstAddrPort()
	}
	ap, err := netip.ParseAddrPort(ep.DstToString())
	if err != nil {
		return netip.AddrPortFrom(ep.DstIP(), 0)
	}
	return ap
}

// Open opens the sockets and puts a receiver before each receive function.
func (s *udpSeam) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	fns, actual, err := s.Bind.Open(port)
	if err != nil {
		return nil, 0, err
	}
	s.t.m.Port.Store(uint32(actual))
	s.t.m.Mark.Store(0) // a mark is set anew
	seen := make([]conn.ReceiveFunc, len(fns))
	for i, fn := range fns {
		r := &receiver{t: s.t, fn: fn, index: uint8(i & 1)}
		seen[i] = r.receive
	}
	return seen, actual, nil
}

// SetMark sets the mark of what the sockets send.
func (s *udpSeam) SetMark(mark uint32) error {
	if err := s.Bind.SetMark(mark); err != nil {
		return err
	}
	s.t.m.Mark.Store(mark)
	return nil
}

// receiver is one receive function; it is called by one goroutine.
type receiver struct {
	t     *Tunnel
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
	for i, b := range bufs[:min(r.prev, len(bufs), len(r.seqs))] {
		if r.seqs[i] == untouched {
			continue
		}
		t, state := r.t.tags.Find(b)
		if state == tag.None {
			continue
		}
		if r.seqs[i] != 0 && state == r.state() && t.Seq() == r.seqs[i] {
			r.t.acct.Refused(t.Peer(), r.state(), t.Ordinal())
			t.Clear(r.t.tags.Magic)
			continue
		}
		r.t.acct.Reclaim(b)
	}
}

func (r *receiver) note(bufs [][]byte, sizes []int, eps []conn.Endpoint) {
	w := r.t
	now, port := w.m.Clock.Now(), uint16(w.m.Port.Load())
	cur := run{p: w.m.Peers.Get(0)}
	taps := w.taps.Running()
	batch := w.rec.Begin(probe.LaneUDPReceive)
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
		t := w.tags.Of(msg, 0)
		if !isData(msg) && r.handshake(msg, now, eps[i]) {
			t.Clear(w.tags.Magic)
			continue
		}
		e := batch.Next()
		e.Time, e.Seam, e.PrefixBits, e.Info = now, probe.SeamUDPReceive, probe.NoPrefix, r.index
		e.OuterSrc, e.OuterSrcPort, e.OuterDstPort = r.from, r.port, port
		taps.Outer(probe.LaneUDPReceive, e.Seq, msg)
		if e.Reason = e.DecodeOuter(msg); e.Reason == probe.ReasonNone {
			r.session(e, &cur)
		}
		if e.Reason != probe.ReasonNone {
			w.m.Peers.Get(0).Drop(e.Reason, 1)
			t.Clear(w.tags.Magic)
			continue
		}
		if t == nil || i >= len(r.seqs) {
			w.untagged.Add(1)
			continue
		}
		t.PutInbound(w.tags.Magic, r.state(), e, e.Pair)
		r.seqs[i] = e.Seq
	}
	r.flush(&cur)
	taps.End(probe.LaneUDPReceive)
	batch.End()
	w.acct.Busy()
}

// isData reports whether msg is a data message or a keepalive, by its looks.
func isData(msg []byte) bool {
	return len(msg) >= probe.LenKeepalive && binary.LittleEndian.Uint32(msg) == probe.TypeData
}

// handshake records msg if it is a well-formed handshake message, and reports
// whether it is.
func (r *receiver) handshake(msg []byte, now int64, ep conn.Endpoint) bool {
	e := probe.Event{Time: now, OuterSrc: r.from, OuterSrcPort: r.port}
	if e.DecodeOuter(msg) != probe.ReasonNone {
		return false
	}
	r.t.hs.Received(msg, &e, ep)
	return true
}

// session finds whose data message e is and gives it the peer's next ordinal.
func (r *receiver) session(e *probe.Event, cur *run) {
	peer, initiator := r.t.m.Local.Lookup(e.Receiver)
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
		p := r.t.m.Peers.Get(peer)
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

// Send sends messages to one peer.
func (s *udpSeam) Send(bufs [][]byte, ep conn.Endpoint) error {
	peer := s.note(bufs, ep)
	err := s.Bind.Send(bufs, ep)
	if err != nil {
		s.failed(len(bufs), ep, peer, err)
	}
	return err
}

func (s *udpSeam) note(bufs [][]byte, ep conn.Endpoint) (peer probe.PeerID) {
	w := s.t
	if len(bufs) == 1 && !isData(bufs[0]) {
		var e probe.Event
		if e.DecodeOuter(bufs[0]) == probe.ReasonNone {
			return w.hs.Sent(bufs[0], &e, addrPort(ep))
		}
	}
	now := w.m.Clock.Now()
	to := addrPort(ep)
	dst, srcPort := probe.AddrFrom(to.Addr()), uint16(w.m.Port.Load())
	var leaving account.Departures
	var receiver uint32
	var initiator bool
	var last uint64
	taps := w.taps.Running()
	b := w.rec.Begin(probe.LaneUDPSend)
	for _, buf := range bufs {
		e := b.Next()
		e.Time, e.Seam, e.PrefixBits = now, probe.SeamUDPSend, probe.NoPrefix
		e.OuterDst, e.OuterDstPort, e.OuterSrcPort = dst, to.Port(), srcPort
		e.DecodeOuter(buf)
		taps.Outer(probe.LaneUDPSend, e.Seq, buf)
		if e.Receiver != receiver || peer == 0 {
			receiver = e.Receiver
			peer, initiator = w.m.Remote.Lookup(receiver)
		}
		last = e.Seq
		if t, state := w.tags.Find(buf); e.Kind == probe.KindData && state == tag.Outbound {
			t.GetOutbound(e)
			leaving.Add(w.acct, e.Peer, tag.Outbound, t.Ordinal())
			t.Clear(w.tags.Magic)
		} else if e.Kind == probe.KindData {
			w.untagged.Add(1)
		}
		switch {
		case e.Peer == 0:
			e.Peer = peer
			e.Checkpoint = sentBy(initiator)
		default:
			e.Checkpoint = sentBy(e.Flags&probe.FlagInitiatedHere != 0)
			if e.Peer != peer && peer != 0 {
				e.Flags |= probe.FlagPeerMismatch
				e.Peer = peer
				w.mismatches.Add(1)
			}
		}
	}
	taps.End(probe.LaneUDPSend)
	b.End()
	leaving.Flush(w.acct)
	if peer != 0 {
		w.m.EndpointUsed(w.m.Peers.Get(peer), to, last)
	}
	return peer
}

// sentBy is the checkpoint of data that the initiator of a flow, or of a
// session, or the other side sends.
func sentBy(initiator bool) probe.Checkpoint {
	if initiator {
		return probe.A4
	}
	return probe.B8
}

// failed records that the socket refused n messages.
func (s *udpSeam) failed(n int, ep conn.Endpoint, peer probe.PeerID, err error) {
	var gso conn.ErrUDPGSODisabled
	if errors.As(err, &gso) && gso.RetryErr == nil {
		return // they were sent, one by one
	}
	to := addrPort(ep)
	e := probe.Event{Kind: probe.KindData, Peer: peer, OuterDst: probe.AddrFrom(to.Addr()), OuterDstPort: to.Port()}
	var errno syscall.Errno
	errors.As(err, &errno) // else it is not known
	e.SetErrno(errno)
	s.t.m.Peers.Get(peer).Drop(probe.SendError, n-1)
	s.t.m.Record(e)
}

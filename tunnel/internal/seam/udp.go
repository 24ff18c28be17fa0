package seam

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

// UDP is the UDP bind as the WireGuard device sees it: whatever lies under
// it, and a look at every message that passes.
type UDP struct {
	conn.Bind
	w *Watch
}

// UDP puts the seam before bind.
func (w *Watch) UDP(bind conn.Bind) *UDP { return &UDP{Bind: bind, w: w} }

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
func (s *UDP) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	fns, actual, err := s.Bind.Open(port)
	if err != nil {
		return nil, 0, err
	}
	s.w.Mirror.Port.Store(uint32(actual))
	s.w.Mirror.Mark.Store(0) // a mark is set anew
	seen := make([]conn.ReceiveFunc, len(fns))
	for i, fn := range fns {
		r := &receiver{w: s.w, fn: fn, index: uint8(i & 1)}
		seen[i] = r.receive
	}
	return seen, actual, nil
}

// SetMark sets the mark of what the sockets send.
func (s *UDP) SetMark(mark uint32) error {
	if err := s.Bind.SetMark(mark); err != nil {
		return err
	}
	s.w.Mirror.Mark.Store(mark)
	return nil
}

// Send sends messages to one peer.
func (s *UDP) Send(bufs [][]byte, ep conn.Endpoint) error {
	peer := s.note(bufs, ep)
	err := s.Bind.Send(bufs, ep)
	if err != nil {
		s.failed(len(bufs), ep, peer, err)
	}
	return err
}

func (s *UDP) note(bufs [][]byte, ep conn.Endpoint) (peer probe.PeerID) {
	w := s.w
	if len(bufs) == 1 && !isData(bufs[0]) {
		var e probe.Event
		if e.DecodeOuter(bufs[0]) == probe.ReasonNone {
			return w.Handshakes.Sent(bufs[0], &e, addrPort(ep))
		}
	}
	to := addrPort(ep)
	dst, srcPort := probe.AddrFrom(to.Addr()), uint16(w.Mirror.Port.Load())
	var leaving account.Departures
	var receiver uint32
	var initiator bool
	var last uint64
	now, taps := w.Mirror.Clock.Now(), w.Taps.Running()
	b := w.Recorder.Begin(probe.LaneUDPSend)
	for _, buf := range bufs {
		e := next(&b, probe.SeamUDPSend, now)
		e.OuterDst, e.OuterDstPort, e.OuterSrcPort = dst, to.Port(), srcPort
		e.DecodeOuter(buf)
		taps.Outer(probe.LaneUDPSend, e.Seq, buf)
		if e.Receiver != receiver || peer == 0 {
			receiver = e.Receiver
			peer, initiator = w.Mirror.Remote.Lookup(receiver)
		}
		last = e.Seq
		if t, state := w.Tags.Find(buf); e.Kind == probe.KindData && state == tag.Outbound {
			t.GetOutbound(e)
			leaving.Add(w.Accountant, e.Peer, tag.Outbound, t.Ordinal())
			t.Clear(w.Tags.Magic)
		} else if e.Kind == probe.KindData {
			w.Untagged.Add(1)
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
				w.Mismatches.Add(1)
			}
		}
	}
	taps.End(probe.LaneUDPSend)
	b.End()
	leaving.Flush(w.Accountant)
	if peer != 0 {
		w.Mirror.EndpointUsed(w.Mirror.Peers.Get(peer), to, last)
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
func (s *UDP) failed(n int, ep conn.Endpoint, peer probe.PeerID, err error) {
	var gso conn.ErrUDPGSODisabled
	if errors.As(err, &gso) && gso.RetryErr == nil {
		return // they were sent, one by one
	}
	to := addrPort(ep)
	e := probe.Event{Kind: probe.KindData, Peer: peer, OuterDst: probe.AddrFrom(to.Addr()), OuterDstPort: to.Port()}
	var errno syscall.Errno
	errors.As(err, &errno) // else it is not known
	e.SetErrno(errno)
	s.w.Mirror.Peers.Get(peer).Drop(probe.SendError, n-1)
	s.w.Mirror.Record(e)
}

// isData reports whether msg is a data message or a keepalive, by its looks.
func isData(msg []byte) bool {
	return len(msg) >= probe.LenKeepalive && binary.LittleEndian.Uint32(msg) == probe.TypeData
}

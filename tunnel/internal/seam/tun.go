package seam

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"

	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// TUN is the TUN device as the WireGuard device sees it: whatever lies
// under it, and a look at every packet that passes.
type TUN struct {
	tun.Device
	w       *Watch
	prev    int       // buffers that the previous Read filled
	gate    gate      // of the one goroutine that reads
	towards flowCache // of the one goroutine that reads
	out     flowCache // guarded by the recorder's lane of TUN writes
}

// TUN puts the seam before dev.
func (w *Watch) TUN(dev tun.Device) *TUN {
	s := &TUN{Device: dev, w: w}
	s.towards.init(w, true)
	s.out.init(w, false)
	return s
}

// Read reads packets from the host and tags them.
func (s *TUN) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	accountant := s.w.Accountant
	for _, b := range bufs[:s.prev] {
		accountant.Reclaim(b)
	}
	s.gate.wait()
	n, err := s.Device.Read(bufs, sizes, offset)
	s.prev = n
	if n > 0 {
		s.noteRead(bufs[:n], sizes, offset)
	}
	return n, err
}

// run is a series of consecutive packets of one peer, whose ordinals are
// handed out without touching shared memory for each.
type run struct {
	p    *mirror.Peer
	last uint64
	full bool // too many wait for the peer already
}

func (s *TUN) noteRead(bufs [][]byte, sizes []int, offset int) {
	w := s.w
	peers, magic := w.Mirror.Peers, w.Tags.Magic
	cur := run{p: peers.Get(0)}
	var first uint64 // ordinal of the run's first packet
	now, taps := w.Mirror.Clock.Now(), w.Taps.Running()
	b := w.Recorder.Begin(probe.LaneTUNRead)
	for i := range bufs {
		if sizes[i] < 1 {
			continue
		}
		end := offset + sizes[i]
		t := w.Tags.Of(bufs[i][:end], tag.Growth)
		pkt := bufs[i][offset:end]
		e := next(&b, probe.SeamTUNRead, now)
		e.Kind = probe.KindInner
		e.Reason = s.route(e, pkt, now)
		taps.Inner(probe.LaneTUNRead, e.Seq, pkt)
		if cur.p.ID != e.Peer {
			cur.flush(&s.gate)
			p := peers.Get(e.Peer)
			entered := p.Out.Entered.Load()
			cur = run{p, entered, entered-p.StillLeft > MaxInside && overflows(p, now)}
			first = entered + 1
		}
		if e.Reason == probe.ReasonNone && cur.p.Endpoint.Load() == nil {
			e.Reason = probe.NoEndpoint
			sizes[i] = 0 // as the kernel's WireGuard, which keeps no such packet
		}
		if e.Reason == probe.ReasonNone && cur.full && cur.last >= first {
			e.Reason = probe.StagedOverflow
			sizes[i] = 0
			cur.p.Drop(e.Reason, 1)
			t.Clear(magic)
			continue
		}
		if e.Reason != probe.ReasonNone {
			cur.p.Drop(e.Reason, 1)
			w.Refuser.Refuse(pkt, e.Reason)
			t.Clear(magic)
			continue
		}
		if t == nil {
			w.Untagged.Add(1)
			continue
		}
		cur.last++
		e.Pair = cur.last
		t.PutOutbound(magic, e, cur.last)
	}
	cur.flush(&s.gate)
	taps.End(probe.LaneTUNRead)
	b.End()
	w.Accountant.Busy()
}

func (r *run) flush(g *gate) {
	if r.p.ID != 0 {
		g.enter(&r.p.Out, r.last)
	}
}

// route decodes a packet that enters the tunnel, finds peer, prefix and
// checkpoint, and says why there is no peer, if so.
func (s *TUN) route(e *probe.Event, pkt []byte, now int64) probe.Reason {
	if !e.DecodeInner(pkt) {
		return probe.NotIP
	}
	e.Checkpoint = probe.B7
	if s.towards.find(e, pkt, now) {
		e.Checkpoint = probe.A1
		e.Flags |= probe.FlagInitiatedHere
	}
	switch {
	case e.Peer != 0:
		return probe.ReasonNone
	case e.InnerDst.Multicast():
		return probe.LinkScope
	}
	return probe.NoAllowedIPsMatch
}

// Write hands decrypted packets to the host. All are from one peer, in the
// order in which they were received.
func (s *TUN) Write(bufs [][]byte, offset int) (int, error) {
	s.noteWrite(bufs, offset)
	n, err := s.Device.Write(bufs, offset)
	if err != nil && !errors.Is(err, os.ErrClosed) { // closing is no refusal
		s.w.Mirror.Record(probe.Event{Kind: probe.KindInner, Reason: probe.TUNWriteError})
	}
	return n, err
}

func (s *TUN) noteWrite(bufs [][]byte, offset int) {
	w := s.w
	magic := w.Tags.Magic
	var leaving account.Departures
	var last departed
	now, taps := w.Mirror.Clock.Now(), w.Taps.Running()
	b := w.Recorder.Begin(probe.LaneTUNWrite)
	for _, buf := range bufs {
		e := next(&b, probe.SeamTUNWrite, now)
		e.Kind = probe.KindInner
		t, state := w.Tags.Find(buf)
		if offset >= tag.Headroom {
			e.Receiver = binary.LittleEndian.Uint32(buf[offset-tag.Headroom+4:])
			e.Counter = binary.LittleEndian.Uint64(buf[offset-tag.Headroom+8:])
		}
		if state == tag.Inbound4 || state == tag.Inbound6 {
			t.GetInbound(e)
			leaving.Add(w.Accountant, e.Peer, state, t.Ordinal())
			t.Clear(magic)
			last = departed{e.Peer, e.Seq, e.OuterSrc, e.OuterSrcPort}
		} else {
			w.Untagged.Add(1)
		}
		pkt := buf[offset:]
		taps.Inner(probe.LaneTUNWrite, e.Seq, pkt)
		if !e.DecodeInner(pkt) {
			continue // not possible: the device has looked
		}
		e.Checkpoint = probe.B4
		if s.out.find(e, pkt, now) {
			e.Checkpoint = probe.A6
			e.Flags |= probe.FlagInitiatedHere
		}
	}
	taps.End(probe.LaneTUNWrite)
	b.End()
	leaving.Flush(w.Accountant)
	if last.peer != 0 {
		p := w.Mirror.Peers.Get(last.peer)
		p.Heard.Store(now)
		from := netip.AddrPortFrom(last.from.Netip(), last.port)
		w.Mirror.EndpointSeen(p, from, last.seq)
	}
}

// departed is the packet that left last: whose it was and where it came from.
type departed struct {
	peer probe.PeerID
	seq  uint64
	from probe.Addr
	port uint16
}

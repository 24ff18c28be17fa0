package tunnel

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

// tunSeam is the TUN device as the WireGuard device sees it: whatever lies
// under it, and a look at every packet that passes.
type tunSeam struct {
	tun.Device
	t       *Tunnel
	prev    int       // buffers that the previous Read filled
	gate    gate      // of the one goroutine that reads
	towards flowCache // of the one goroutine that reads
	out     flowCache // guarded by the recorder's lane of TUN writes
}

func newTunSeam(dev tun.Device, t *Tunnel) *tunSeam {
	s := &tunSeam{Device: dev, t: t}
	s.towards.init(t, true)
	s.out.init(t, false)
	return s
}

// Read reads packets from the host and tags them.
func (s *tunSeam) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	for _, b := range bufs[:s.prev] {
		s.t.acct.Reclaim(b)
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

func (s *tunSeam) noteRead(bufs [][]byte, sizes []int, offset int) {
	w := s.t
	now := w.m.Clock.Now()
	cur := run{p: w.m.Peers.Get(0)}
	var first uint64 // ordinal of the run's first packet
	taps := w.taps.Running()
	b := w.rec.Begin(probe.LaneTUNRead)
	for i := range bufs {
		if sizes[i] < 1 {
			continue
		}
		end := offset + sizes[i]
		t := w.tags.Of(bufs[i][:end], tag.Growth)
		pkt := bufs[i][offset:end]
		e := b.Next()
		e.Time, e.Seam, e.Kind, e.PrefixBits = now, probe.SeamTUNRead, probe.KindInner, probe.NoPrefix
		e.Reason = s.route(e, pkt, now)
		taps.Inner(probe.LaneTUNRead, e.Seq, pkt)
		if cur.p.ID != e.Peer {
			cur.flush(&s.gate)
			p := w.m.Peers.Get(e.Peer)
			entered := p.Out.Entered.Load()
			cur = run{p, entered, entered-p.StillLeft > maxInside && overflows(p, now)}
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
			t.Clear(w.tags.Magic)
			continue
		}
		if e.Reason != probe.ReasonNone {
			cur.p.Drop(e.Reason, 1)
			w.icmp.Refuse(pkt, e.Reason)
			t.Clear(w.tags.Magic)
			continue
		}
		if t == nil {
			w.untagged.Add(1)
			continue
		}
		cur.last++
		e.Pair = cur.last
		t.PutOutbound(w.tags.Magic, e, cur.last)
	}
	cur.flush(&s.gate)
	taps.End(probe.LaneTUNRead)
	b.End()
	w.acct.Busy()
}

func (r *run) flush(g *gate) {
	if r.p.ID != 0 {
		g.enter(&r.p.Out, r.last)
	}
}

// route decodes a packet that enters the tunnel, finds peer, prefix and
// checkpoint, and says why there is no peer, if so.
func (s *tunSeam) route(e *probe.Event, pkt []byte, now int64) probe.Reason {
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
func (s *tunSeam) Write(bufs [][]byte, offset int) (int, error) {
	s.noteWrite(bufs, offset)
	n, err := s.Device.Write(bufs, offset)
	if err != nil && !errors.Is(err, os.ErrClosed) { // closing is no refusal
		s.t.m.Record(probe.Event{Kind: probe.KindInner, Reason: probe.TUNWriteError})
	}
	return n, err
}

func (s *tunSeam) noteWrite(bufs [][]byte, offset int) {
	w := s.t
	now := w.m.Clock.Now()
	var leaving account.Departures
	var last departed
	taps := w.taps.Running()
	b := w.rec.Begin(probe.LaneTUNWrite)
	for _, buf := range bufs {
		e := b.Next()
		e.Time, e.Seam, e.Kind, e.PrefixBits = now, probe.SeamTUNWrite, probe.KindInner, probe.NoPrefix
		t, state := w.tags.Find(buf)
		if offset >= tag.Headroom {
			e.Receiver = binary.LittleEndian.Uint32(buf[offset-tag.Headroom+4:])
			e.Counter = binary.LittleEndian.Uint64(buf[offset-tag.Headroom+8:])
		}
		if state == tag.Inbound4 || state == tag.Inbound6 {
			t.GetInbound(e)
			leaving.Add(w.acct, e.Peer, state, t.Ordinal())
			t.Clear(w.tags.Magic)
			last = departed{e.Peer, e.Seq, e.OuterSrc, e.OuterSrcPort}
		} else {
			w.untagged.Add(1)
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
	leaving.Flush(w.acct)
	if last.peer != 0 {
		p := w.m.Peers.Get(last.peer)
		p.Heard.Store(now)
		from := netip.AddrPortFrom(last.from.Netip(), last.port)
		w.m.EndpointSeen(p, from, last.seq)
	}
}

// departed is the packet that left last: whose it was and where it came from.
type departed struct {
	peer probe.PeerID
	seq  uint64
	from probe.Addr
	port uint16
}

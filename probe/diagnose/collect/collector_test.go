package collect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// gathered are the facts about one peer and one flow after events, one a second.
func gathered(events ...probe.Event) (*Collector, *diagnose.Peer, *diagnose.Flow) {
	p, f := new(diagnose.Peer), &diagnose.Flow{Target: netip.MustParseAddrPort("192.168.200.22:80")}
	c := &Collector{Peers: map[probe.PeerID]*diagnose.Peer{1: p}, Flow: f}
	for i := range events {
		e := &events[i]
		e.Time = time.Unix(1_700_000_000+int64(i), 0).UnixNano()
		c.Add(e)
		*e = probe.Event{} // it belongs to the caller
	}
	return c, p, f
}

var (
	sent     = probe.Event{Peer: 1, Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Checkpoint: probe.A2}
	accepted = probe.Event{Peer: 1, Kind: probe.KindResponse, Seam: probe.SeamDevice, Checkpoint: probe.A3}
	rejected = probe.Event{Peer: 1, Kind: probe.KindResponse, Reason: probe.ResponseRejected, Checkpoint: probe.A3}
	refused  = probe.Event{Peer: 1, Kind: probe.KindICMP, Reason: probe.ICMPPortUnreachable}
)

// What went wrong before a handshake was completed is no fault any more.
func TestForgets(t *testing.T) {
	_, p, _ := gathered(sent, rejected, refused)
	if h := p.Handshake; h.Sent != 1 || h.Rejected != 1 || h.LastRejected == nil || p.ICMPs != 1 || h.EstablishedNow {
		t.Errorf("before: %+v", p)
	}
	_, p, _ = gathered(sent, rejected, refused, accepted)
	if h := p.Handshake; h.Sent != 0 || h.Rejected != 0 || h.LastRejected != nil || p.ICMP != nil || p.ICMPs != 0 || !h.EstablishedNow {
		t.Errorf("after: %+v", p)
	}
}

// The first packet of a checkpoint is kept, and only packets of the flow count.
func TestFlow(t *testing.T) {
	packet := func(dst string, port uint16, length uint16) probe.Event {
		return probe.Event{Peer: 1, Kind: probe.KindInner, Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Proto: probe.ProtoUDP,
			InnerLen: length, InnerDst: probe.AddrFrom(netip.MustParseAddr(dst)), InnerDstPort: port}
	}
	_, _, f := gathered(packet("192.168.200.22", 53, 1), packet("192.168.200.23", 80, 2), packet("192.168.200.22", 80, 3),
		packet("192.168.200.22", 80, 4))
	if e := f.Seen[probe.A1]; e == nil || e.InnerLen != 3 {
		t.Errorf("seen at A1: %+v", e)
	}
	other := packet("192.168.200.22", 80, 5)
	other.Peer = 2
	c, _, f := gathered()
	c.Via = 1
	if c.Add(&other); f.Seen[probe.A1] != nil {
		t.Errorf("of another peer: %+v", f.Seen[probe.A1])
	}
}

// Initiations of one host that is not a peer are counted, not listed one by one, and
// there is a bound for those of all.
func TestStrangers(t *testing.T) {
	from := func(i int) probe.Event {
		a := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		return probe.Event{Kind: probe.KindInitiation, Reason: probe.InvalidMAC1, OuterSrc: probe.AddrFrom(a), OuterSrcPort: 7}
	}
	c, _, _ := gathered(from(1), from(2), from(1))
	if s := c.Strangers; len(s) != 2 || s[0].Count != 2 || s[0].From.Port() != 7 || s[1].Count != 1 {
		t.Errorf("%+v", s)
	}
	for i := range 2 * strangersKept {
		e := from(i)
		c.Add(&e)
	}
	if len(c.Strangers) != strangersKept {
		t.Errorf("%d are kept, want %d", len(c.Strangers), strangersKept)
	}
}

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

// packet is an inner packet of TCP at a seam.
func packet(seam probe.Seam, cp probe.Checkpoint, src, dst string, flags uint8) probe.Event {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return probe.Event{Peer: 1, Kind: probe.KindInner, Seam: seam, Checkpoint: cp, Proto: probe.ProtoTCP, Info: flags, InnerLen: 60,
		InnerSrc: probe.AddrFrom(from.Addr()), InnerSrcPort: from.Port(), InnerDst: probe.AddrFrom(to.Addr()), InnerDstPort: to.Port()}
}

// unreachable is an ICMP error that comes to 10.0.0.1, about a packet of TCP.
func unreachable(srcPort uint16, dst string) probe.Event {
	e := probe.Event{Peer: 1, Kind: probe.KindInner, Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Proto: probe.ProtoICMP, InnerLen: 88,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.2")), InnerDst: probe.AddrFrom(netip.MustParseAddr("10.0.0.1"))}
	e.SetICMP(3, 1)
	e.Quote(probe.ProtoTCP, srcPort, netip.MustParseAddrPort(dst))
	return e
}

// Packets of others are not of a flow whose client is known, however much they look
// alike: from another port, another host, or ICMP errors about either.
func TestFlowOfOneClient(t *testing.T) {
	const client, target = "10.0.0.1:40000", "192.168.200.22:80"
	request := packet(probe.SeamTUNRead, probe.A1, client, target, probe.TCPSyn)
	for _, c := range []struct {
		name  string
		other probe.Event
		ours  bool
	}{
		{"request from another port", packet(probe.SeamTUNRead, probe.A1, "10.0.0.1:40001", target, probe.TCPSyn), false},
		{"answer to another port", packet(probe.SeamTUNWrite, probe.A6, target, "10.0.0.1:40001", probe.TCPAck), false},
		{"answer to another host", packet(probe.SeamTUNWrite, probe.A6, target, "10.0.0.7:40000", probe.TCPAck), false},
		{"answer from another port", packet(probe.SeamTUNWrite, probe.A6, "192.168.200.22:81", client, probe.TCPAck), false},
		{"error about a neighbor", unreachable(40000, "192.168.200.23:80"), false},
		{"error about another connection", unreachable(40001, target), false},
		{"error about another service", unreachable(40000, "192.168.200.22:81"), false},
		{"answer", packet(probe.SeamTUNWrite, probe.A6, target, client, probe.TCPAck), true},
		{"error", unreachable(40000, target), true},
	} {
		f := &diagnose.Flow{Target: netip.MustParseAddrPort(target), Client: netip.AddrPortFrom(netip.Addr{}, 40000)}
		AddToFlow(f, &request)
		AddToFlow(f, &c.other)
		if ours := f.Replies > 0; ours != c.ours || ours != (f.Seen[probe.A6] != nil) || f.Seen[probe.A1].InnerSrcPort != 40000 {
			t.Errorf("%s: %d replies, %+v", c.name, f.Replies, f.Seen[probe.A6])
		}
		if said := c.ours && c.other.ICMPError(); said != (f.Answer != nil) {
			t.Errorf("%s: answer %+v", c.name, f.Answer)
		}
	}
}

// What a message carries is known by the packet inside, whichever is met first.
func TestErrorInMessage(t *testing.T) {
	const target = "192.168.200.22:80"
	for _, c := range []struct {
		name  string
		about string
		first bool // the message
		want  bool
	}{
		{"ours", target, true, true}, {"ours, inside first", target, false, true},
		{"another's", "192.168.200.23:80", true, false}, {"another's, inside first", "192.168.200.23:80", false, false},
	} {
		inside := unreachable(40000, c.about)
		inside.Pair = 7
		message := inside
		message.Kind, message.Seam, message.Checkpoint, message.Seq = probe.KindData, probe.SeamUDPReceive, probe.A5, 7
		message.Flags &^= probe.FlagQuotes
		f := &diagnose.Flow{Target: netip.MustParseAddrPort(target), Client: netip.MustParseAddrPort("10.0.0.1:40000")}
		events := []*probe.Event{&inside, &message}
		if c.first {
			events[0], events[1] = events[1], events[0]
		}
		for _, e := range events {
			AddToFlow(f, e)
		}
		if got := f.Seen[probe.A5] != nil; got != c.want || got != (f.Seen[probe.A6] != nil) {
			t.Errorf("%s: A5 %+v, A6 %+v", c.name, f.Seen[probe.A5], f.Seen[probe.A6])
		}
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

// A flow of UDP has no packets of TCP, though ports are the same.
func TestFlowOfUDP(t *testing.T) {
	const client, target = "10.0.0.1:40000", "192.168.200.22:53"
	tcp := packet(probe.SeamTUNWrite, probe.A6, target, client, probe.TCPAck)
	udp := tcp
	udp.Proto = probe.ProtoUDP
	for _, c := range []struct {
		name    string
		udp     bool
		e       probe.Event
		replies int
	}{
		{name: "UDP", udp: true, e: udp, replies: 1},
		{name: "TCP beside it", udp: true, e: tcp},
		{name: "either", e: tcp, replies: 1},
	} {
		f := &diagnose.Flow{Target: netip.MustParseAddrPort(target), UDP: c.udp, Client: netip.AddrPortFrom(netip.Addr{}, 40000)}
		if AddToFlow(f, &c.e); f.Replies != c.replies {
			t.Errorf("%s: %d replies, want %d", c.name, f.Replies, c.replies)
		}
	}
}

// Of packets from disallowed sources the latest from where is asked is kept, and all count.
func TestDisallowedFrom(t *testing.T) {
	from := func(src string) probe.Event {
		return probe.Event{Peer: 1, Kind: probe.KindData, Reason: probe.DisallowedSource, InnerSrc: probe.AddrFrom(netip.MustParseAddr(src))}
	}
	for _, c := range []struct {
		asked string // "": from anywhere
		want  string
	}{{"", "10.0.0.7"}, {"10.0.0.9/32", "10.0.0.9"}, {"10.0.0.0/24", "10.0.0.7"}} {
		col, p, _ := gathered()
		if c.asked != "" {
			col.From = netip.MustParsePrefix(c.asked)
		}
		for _, src := range []string{"10.0.0.8", "10.0.0.9", "10.0.0.7"} {
			e := from(src)
			col.Add(&e)
		}
		if src, _ := p.Disallowed.Inner(); src.Addr().String() != c.want || p.DisallowedN != 3 {
			t.Errorf("from %q: %s is kept of %d, want %s", c.asked, src.Addr(), p.DisallowedN, c.want)
		}
	}
}

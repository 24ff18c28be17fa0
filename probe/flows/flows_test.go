package flows

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
)

const second = int64(time.Second)

// packet is an event of an inner packet or of the message that has it.
func packet(at int64, c probe.Checkpoint, proto uint8, src, dst string) probe.Event {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	e := probe.Event{Time: at, Checkpoint: c, Seam: c.Seam(), Kind: probe.KindInner, Proto: proto, Peer: 1, InnerLen: 100,
		InnerSrc: probe.AddrFrom(s.Addr()), InnerSrcPort: s.Port(), InnerDst: probe.AddrFrom(d.Addr()), InnerDstPort: d.Port()}
	if e.Seam == probe.SeamUDPSend || e.Seam == probe.SeamUDPReceive {
		e.Kind = probe.KindData
	}
	if c.Side() == probe.SideA {
		e.Flags |= probe.FlagInitiatedHere
	}
	return e
}

func handshake(at int64, c probe.Checkpoint) probe.Event {
	e := probe.Event{Time: at, Checkpoint: c, Seam: c.Seam(), Kind: probe.KindInitiation, Peer: 1, OuterLen: 148}
	if c == probe.A3 || c == probe.B2 {
		e.Kind, e.OuterLen = probe.KindResponse, 92
	}
	return e
}

func give(t *Table, events ...probe.Event) {
	for i := range events {
		t.Event(&events[i])
	}
}

// passed lists the checkpoints of a flow's ladder that packets have passed.
func passed(f *Flow, p *Peer) (s string) {
	at, rungs := f.Rungs(p)
	for i, c := range at {
		if rungs[i].Packets > 0 {
			s += c.String() + " "
		}
		if rungs[i].Drops > 0 {
			s += c.String() + "!" + rungs[i].Why + " "
		}
	}
	return s
}

func TestLadder(t *testing.T) {
	const a, b = "10.0.0.1:4000", "10.0.0.2:80"
	dropped := packet(9, probe.A1, probe.ProtoTCP, a, b)
	dropped.Reason, dropped.Seam = probe.StagedOverflow, probe.SeamDevice
	refused := packet(9, probe.A6, probe.ProtoICMP, "10.0.0.9:0", a)
	refused.SetICMP(3, 3)
	refused.Quote(probe.ProtoTCP, 4000, netip.MustParseAddrPort(b))
	for _, c := range []struct {
		name, flow, passed string
		events             []probe.Event
	}{
		{"of this host", "tcp 10.0.0.1:4000 > 10.0.0.2:80", "A1 A2 A3 A4 A5 A6 ", []probe.Event{
			packet(1, probe.A1, probe.ProtoTCP, a, b), handshake(2, probe.A2), handshake(3, probe.A3),
			packet(4, probe.A4, probe.ProtoTCP, a, b), packet(5, probe.A5, probe.ProtoTCP, b, a), packet(6, probe.A6, probe.ProtoTCP, b, a)}},
		{"of the other", "tcp 10.0.0.1:4000 > 10.0.0.2:80", "B3 B4 B7 B8 ", []probe.Event{
			packet(1, probe.B3, probe.ProtoTCP, a, b), packet(4, probe.B4, probe.ProtoTCP, a, b),
			packet(5, probe.B7, probe.ProtoTCP, b, a), packet(6, probe.B8, probe.ProtoTCP, b, a)}},
		{"dropped inside", "tcp 10.0.0.1:4000 > 10.0.0.2:80", "A1 A1!staged-overflow ", []probe.Event{
			packet(1, probe.A1, probe.ProtoTCP, a, b), dropped}},
		{"echo", "icmp 10.0.0.1 > 10.0.0.2", "A1 A4 A5 A6 ", []probe.Event{
			packet(1, probe.A1, probe.ProtoICMP, "10.0.0.1:77", "10.0.0.2:1"), packet(2, probe.A4, probe.ProtoICMP, "10.0.0.1:77", "10.0.0.2:1"),
			packet(3, probe.A5, probe.ProtoICMP, "10.0.0.2:77", "10.0.0.1:1"), packet(4, probe.A6, probe.ProtoICMP, "10.0.0.2:77", "10.0.0.1:1")}},
		{"refused", "tcp 10.0.0.1:4000 > 10.0.0.2:80", "A1 A6 ", []probe.Event{packet(1, probe.A1, probe.ProtoTCP, a, b), refused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := New(Options{})
			give(tab, c.events...)
			list := tab.Flows(0)
			if len(list) != 1 {
				t.Fatalf("flows: %v", list)
			}
			f := list[0]
			if f.String() != c.flow || passed(f, tab.Peer(1)) != c.passed {
				t.Errorf("%s: %s; want %s: %s", f, passed(f, tab.Peer(1)), c.flow, c.passed)
			}
		})
	}
}

func TestRefusedIsSaid(t *testing.T) {
	tab := New(Options{})
	e := packet(1, probe.A6, probe.ProtoICMP, "10.0.0.9:0", "10.0.0.1:0")
	e.SetICMP(3, 3)
	e.Quote(probe.ProtoUDP, 4000, netip.MustParseAddrPort("10.0.0.2:53"))
	give(tab, packet(0, probe.A1, probe.ProtoUDP, "10.0.0.1:4000", "10.0.0.2:53"), e)
	if f := tab.Flows(0)[0]; f.Refused != "icmp-port-unreachable" || f.Drops != 0 {
		t.Errorf("refused %q, %d drops", f.Refused, f.Drops)
	}
}

func TestHandshake(t *testing.T) {
	tab := New(Options{})
	rejected := handshake(3, probe.A3)
	rejected.Reason = probe.ResponseRejected
	give(tab, handshake(1, probe.A2), rejected)
	if at := tab.Peer(1).Handshake; at != 0 {
		t.Errorf("a response that was rejected completes a handshake at %d", at)
	}
	give(tab, handshake(4, probe.B1), handshake(5, probe.B2))
	if at := tab.Peer(1).Handshake; at != 0 {
		t.Errorf("a response that was sent completes a handshake at %d", at)
	}
	give(tab, packet(6, probe.B3, probe.ProtoTCP, "10.0.0.2:1", "10.0.0.1:2"))
	if at := tab.Peer(1).Handshake; at != 6 {
		t.Errorf("handshake at %d, want 6", at)
	}
}

func TestBounds(t *testing.T) {
	tab := New(Options{MaxFlows: 3})
	for i := range uint16(5) {
		give(tab, packet(int64(i), probe.A1, probe.ProtoUDP, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), i+1).String(), "10.0.0.2:53"))
	}
	give(tab, packet(7, probe.A1, probe.ProtoUDP, "10.0.0.1:3", "10.0.0.2:53")) // is no longer the oldest
	give(tab, packet(8, probe.A1, probe.ProtoUDP, "10.0.0.1:9", "10.0.0.2:53"))
	var ports []uint16
	for _, f := range tab.Flows(0) {
		ports = append(ports, f.Client.Port())
	}
	if diff := cmp.Diff([]uint16{9, 3, 5}, ports); diff != "" || tab.Forgotten() != 3 {
		t.Errorf("%d forgotten, flows (-want +got):\n%s", tab.Forgotten(), diff)
	}
	for i := range probe.PeerID(2 * maxPeers) {
		tab.Event(&probe.Event{Peer: i + 1, Kind: probe.KindKeepalive, Seam: probe.SeamUDPSend})
	}
	if n := len(tab.Peers()); n != maxPeers {
		t.Errorf("%d peers", n)
	}
}

func TestSeries(t *testing.T) {
	tab := New(Options{Pace: Pace{time.Second, 4}})
	give(tab, packet(10*second, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"),
		packet(11*second, probe.A6, probe.ProtoUDP, "10.0.0.2:53", "10.0.0.1:4"),
		packet(13*second, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"),
		packet(10*second+1, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53")) // late
	want := []Sample{{}, {Out: 200}, {In: 100}, {}, {Out: 100}}
	for _, s := range []*Series{nil, &tab.Peer(1).Series, &tab.Flows(0)[0].Series} {
		if diff := cmp.Diff(want, tab.Samples(nil, s, 13*second, 5)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	give(tab, packet(15*second, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"),
		packet(3*second, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53")) // older than what is kept
	if diff := cmp.Diff([]Sample{{Out: 100}, {}, {Out: 100}}, tab.Samples(nil, nil, 15*second, 3)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Whatever times a file claims.
	for _, at := range []int64{math.MaxInt64, math.MinInt64, -1, 0} {
		give(tab, packet(at, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"))
	}
}

func TestEvery(t *testing.T) {
	tab := New(Options{Every: 100})
	dropped := probe.Event{Time: 1, Seam: probe.SeamDevice, Checkpoint: probe.A1, Kind: probe.KindInner, Reason: probe.StagedOverflow, Peer: 1}
	give(tab, packet(1, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"), handshake(2, probe.A2), dropped)
	if f := tab.Flows(0)[0]; f.Packets != 100 || f.Bytes != 10000 {
		t.Errorf("%d packets, %d bytes", f.Packets, f.Bytes)
	}
	if n := tab.Peer(1).Ladder[probe.A2].Packets; n != 1 {
		t.Errorf("%d initiations", n)
	}
	if r := tab.Reasons(); len(r) != 1 || r[0].Drops != 1 {
		t.Errorf("reasons: %v", r)
	}
}

func TestKernelDrops(t *testing.T) {
	tab := New(Options{})
	give(tab, packet(1, probe.A1, probe.ProtoTCP, "10.0.0.1:4", "10.0.0.2:80"))
	e := packet(2, probe.CheckpointNone, probe.ProtoTCP, "10.0.0.2:80", "10.0.0.1:4")
	tab.Drop(&e, "NETFILTER_DROP")
	r := tab.Reasons()
	if len(r) != 1 || !r[0].Kernel || r[0].Drops != 1 || tab.Flows(0)[0].Drops != 1 || tab.Len() != 1 {
		t.Errorf("%+v, flow %+v", r, tab.Flows(0)[0])
	}
}

func TestSort(t *testing.T) {
	tab := New(Options{})
	give(tab, packet(1, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"),
		packet(2, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53"),
		packet(second, probe.A1, probe.ProtoUDP, "10.0.0.1:5", "10.0.0.2:53"))
	list := tab.Flows(0)
	Sort(list, ByBytes)
	if list[0].Client.Port() != 4 {
		t.Errorf("%v", list)
	}
	Sort(list, ByTime)
	if list[0].Client.Port() != 5 {
		t.Errorf("%v", list)
	}
}

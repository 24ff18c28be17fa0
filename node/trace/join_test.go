//go:build linux

package trace

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

var (
	local  = netip.MustParseAddr("10.0.0.1")
	remote = netip.MustParseAddr("192.168.200.22")
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// newTestRun is a run of TCP from port 4000 to remote:80.
func newTestRun() *run {
	return &run{Subject: explain.Subject{Kernel: true}, to: netip.AddrPortFrom(remote, 80), proto: probe.ProtoTCP, id: 4000, peer: 1,
		whose: func(head []byte, _ bool) probe.PeerID { // 9 is an index of its sessions
			if head[4] == 9 {
				return 1
			}
			return 0
		}}
}

// hear adds an event, some milliseconds after noon.
func (x *run) hear(ms int, e probe.Event) {
	e.Time = noon.Add(time.Duration(ms) * time.Millisecond).UnixNano()
	if x.concerns(&e) {
		x.events = append(x.events, e)
	}
}

func forth(seam probe.Seam, port uint16, e probe.Event) probe.Event {
	e.Seam, e.Proto, e.Peer = seam, probe.ProtoTCP, 1
	e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = probe.AddrFrom(local), probe.AddrFrom(remote), port, 80
	if e.Kind = probe.KindInner; seam == probe.SeamUDPSend {
		e.Kind = probe.KindData
	}
	return e
}

func back(seam probe.Seam, port uint16, e probe.Event) probe.Event {
	e = forth(seam, port, e)
	e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = e.InnerDst, e.InnerSrc, 80, port
	if seam == probe.SeamUDPReceive {
		e.Kind = probe.KindData
	}
	return e
}

// message is the beginning of one of WireGuard's.
func message(kind byte, a, b uint32) (d [12]byte) {
	d[0] = kind
	binary.LittleEndian.PutUint32(d[4:], a)
	binary.LittleEndian.PutUint32(d[8:], b)
	return d
}

func (x *run) see(on evidence.Segment, ms int, h netfilter.Header, end netfilter.Hook) *observe.Packet {
	h.Src, h.Dst = local, remote
	p := &observe.Packet{Match: observe.Match{On: on},
		Packet: &netfilter.Packet{Time: noon.Add(time.Duration(ms) * time.Millisecond), First: h, Last: h, End: end}}
	x.packets = append(x.packets, p)
	return p
}

// In other traffic of the same session the packets are recognized by what they carry.
func TestJoinExact(t *testing.T) {
	x := newTestRun()
	out := x.see(evidence.ToTunnel, 0, netfilter.Header{SrcPort: 4000}, netfilter.Postrouting)
	x.hear(1, forth(probe.SeamTUNRead, 3999, probe.Event{Seq: 6}))
	x.hear(1, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 7}))
	x.hear(1, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 8})) // sent again
	x.hear(2, forth(probe.SeamUDPSend, 3999, probe.Event{Pair: 6, Receiver: 5, Counter: 40}))
	x.hear(2, forth(probe.SeamUDPSend, 4000, probe.Event{Pair: 8, Receiver: 5, Counter: 42}))
	x.hear(2, forth(probe.SeamUDPSend, 4000, probe.Event{Pair: 7, Receiver: 5, Counter: 1<<32 + 41}))
	x.see(evidence.ToWire, 2, netfilter.Header{Data: message(probe.TypeData, 5, 40)}, netfilter.Postrouting)
	x.see(evidence.ToWire, 2, netfilter.Header{Data: message(probe.TypeData, 6, 41)}, netfilter.Postrouting)
	sent := x.see(evidence.ToWire, 2, netfilter.Header{Data: message(probe.TypeData, 5, 41)}, netfilter.Postrouting)
	x.hear(3, back(probe.SeamUDPReceive, 3999, probe.Event{Receiver: 9, Counter: 1}))
	x.hear(3, back(probe.SeamUDPReceive, 4000, probe.Event{Receiver: 9, Counter: 2}))
	x.hear(3, back(probe.SeamTUNWrite, 4000, probe.Event{}))
	received := x.see(evidence.FromWire, 3, netfilter.Header{Data: message(probe.TypeData, 9, 2)}, netfilter.Input)
	in := x.see(evidence.FromTunnel, 3, netfilter.Header{DstPort: 4000}, netfilter.Input)
	j := x.join()
	if j.seen[probe.A1] == nil || j.seen[probe.A1].Seq != 7 || j.seen[probe.A4] == nil || j.seen[probe.A4].Counter != 1<<32+41 {
		t.Errorf("A1 %+v, A4 %+v", j.seen[probe.A1], j.seen[probe.A4])
	}
	if j.seen[probe.A5] == nil || j.seen[probe.A5].Counter != 2 || j.seen[probe.A6] == nil {
		t.Errorf("A5 %+v, A6 %+v", j.seen[probe.A5], j.seen[probe.A6])
	}
	if j.out != out || j.sent != sent || j.received != received || j.in != in || j.sentOther+j.receivedOther != "" {
		t.Errorf("%+v", j)
	}
	x.kernel = new(evidence.KernelEvidence)
	if !j.complete(x) {
		t.Error("not complete")
	}
}

// What is not the very packet is not passed off as it.
func TestJoinOthers(t *testing.T) {
	x := newTestRun()
	x.hear(1, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 7}))
	x.hear(2, forth(probe.SeamUDPSend, 4000, probe.Event{Pair: 7, Receiver: 5, Counter: 41}))
	x.see(evidence.ToWire, 2, netfilter.Header{Data: message(probe.TypeData, 6, 41)}, netfilter.Postrouting)
	other := x.see(evidence.ToWire, 2, netfilter.Header{Data: message(probe.TypeData, 5, 40)}, netfilter.Postrouting)
	x.see(evidence.FromWire, 1, netfilter.Header{Data: message(probe.TypeData, 9, 1)}, netfilter.HookUnknown) // too early
	x.see(evidence.FromWire, 4, netfilter.Header{Data: message(probe.TypeData, 9, 2)}, netfilter.Input)       // delivered
	x.see(evidence.FromWire, 4, netfilter.Header{Data: message(probe.TypeData, 9, 3), Length: 1400}, netfilter.HookUnknown)
	// A stranger's.
	x.see(evidence.FromWire, 4, netfilter.Header{Data: message(probe.TypeData, 8, 4), Length: 20 + 8 + 96}, netfilter.HookUnknown)
	reply := x.see(evidence.FromWire, 4, netfilter.Header{Data: message(probe.TypeData, 9, 4), Length: 20 + 8 + 96}, netfilter.HookUnknown)
	j := x.join()
	if j.sent != other || !strings.Contains(j.sentOther, "counter 40") {
		t.Errorf("sent %+v: %s", j.sent, j.sentOther)
	}
	if j.received != reply || !strings.Contains(j.receivedOther, "its length of 96 bytes") {
		t.Errorf("received %+v: %s", j.received, j.receivedOther)
	}
}

// Of all handshakes it is the one that the packet waited for.
func TestJoinHandshake(t *testing.T) {
	x := newTestRun()
	initiation := func(sender uint32) probe.Event {
		return probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Peer: 1, Sender: sender}
	}
	x.hear(0, initiation(1))
	x.hear(1, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 7}))
	x.hear(2, probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Peer: 2, Sender: 2})
	x.hear(3, probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Peer: 1, Sender: 3})
	x.hear(4, initiation(4))
	x.hear(5, probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Peer: 1, Reason: probe.ResponseStale})
	x.hear(6, probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Peer: 1, Receiver: 4})
	x.see(evidence.ToWire, 0, netfilter.Header{Data: message(probe.TypeInitiation, 1, 0)}, netfilter.Postrouting)
	init := x.see(evidence.ToWire, 4, netfilter.Header{Data: message(probe.TypeInitiation, 4, 0)}, netfilter.Postrouting)
	res := x.see(evidence.FromWire, 6, netfilter.Header{Data: message(probe.TypeResponse, 77, 4)}, netfilter.Input)
	j := x.join()
	if a2, a3 := j.seen[probe.A2], j.seen[probe.A3]; a2 == nil || a2.Sender != 4 || a3 == nil || a3.Dropped() {
		t.Errorf("A2 %+v, A3 %+v", j.seen[probe.A2], j.seen[probe.A3])
	}
	if j.initiation != init || j.response != res {
		t.Errorf("%+v %+v", j.initiation, j.response)
	}
	x.hear(7, forth(probe.SeamUDPSend, 4000, probe.Event{Pair: 7}))
	x.hear(8, initiation(8)) // after the packet has left
	if j := x.join(); j.seen[probe.A2] == nil || j.seen[probe.A2].Sender != 4 {
		t.Errorf("A2 %+v", j.seen[probe.A2])
	}
}

// Of several initiations it is the one that was answered; those before are told apart, also one
// that left before the packet.
func TestJoinUnanswered(t *testing.T) {
	x := newTestRun()
	at := func(ms int, e probe.Event) probe.Event {
		e.Time, e.Peer = noon.Add(time.Duration(ms)*time.Millisecond).UnixNano(), 1
		return e
	}
	initiation := func(seq uint64, sender uint32) probe.Event {
		return probe.Event{Seq: seq, Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Peer: 1, Sender: sender}
	}
	response := func(seq uint64, receiver uint32) probe.Event {
		return probe.Event{Seq: seq, Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Peer: 1, Receiver: receiver}
	}
	x.earlier = []probe.Event{at(-9000, initiation(1, 1)), at(-8990, response(2, 1)), at(-200, initiation(3, 3))}
	x.hear(-200, initiation(3, 3)) // it is delivered once more
	x.hear(0, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 7}))
	x.hear(4900, initiation(4, 4))
	x.hear(10000, initiation(5, 5))
	sent := x.see(evidence.ToWire, 4900, netfilter.Header{Data: message(probe.TypeInitiation, 4, 0)}, netfilter.Postrouting)
	lost := x.see(evidence.FromWire, 4901, netfilter.Header{Data: message(probe.TypeResponse, 70, 4)}, netfilter.Prerouting)
	if j := x.join(); j.seen[probe.A2] == nil || j.seen[probe.A2].Sender != 4 || len(j.unanswered) != 1 {
		t.Errorf("before the response: A2 %+v, unanswered %+v", j.seen[probe.A2], j.unanswered)
	}
	x.hear(10001, response(6, 5))
	x.hear(10002, forth(probe.SeamUDPSend, 4000, probe.Event{Pair: 7}))
	j := x.join()
	if j.seen[probe.A2] == nil || j.seen[probe.A2].Sender != 5 || j.seen[probe.A3] == nil || len(j.unanswered) != 2 {
		t.Fatalf("A2 %+v, A3 %+v, unanswered %+v", j.seen[probe.A2], j.seen[probe.A3], j.unanswered)
	}
	if one, two := j.unanswered[0], j.unanswered[1]; one.event.Sender != 3 || one.sent != nil || two.event.Sender != 4 || two.sent != sent ||
		two.response != lost {
		t.Errorf("%+v %+v", one, two)
	}
}

// A packet whose port is translated on its way into the tunnel is still ours, and
// so is what comes back.
func TestJoinTranslated(t *testing.T) {
	x := newTestRun()
	x.see(evidence.ToTunnel, 0, netfilter.Header{SrcPort: 4000}, netfilter.Postrouting).Last.SrcPort = 61000
	x.hear(1, forth(probe.SeamTUNRead, 61001, probe.Event{Seq: 6}))
	x.hear(1, forth(probe.SeamTUNRead, 61000, probe.Event{Seq: 7}))
	x.hear(2, back(probe.SeamTUNWrite, 61000, probe.Event{}))
	if j := x.join(); j.seen[probe.A1] == nil || j.seen[probe.A1].Seq != 7 || j.seen[probe.A6] == nil {
		t.Errorf("%+v", j.seen)
	}
}

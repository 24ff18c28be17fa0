package collect

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// An old connection asks, and what it did not acknowledge before is repeated to it in the
// same moment. Once there is an answer the ladder shows that, and its message.
func TestRepeatedIsNoAnswer(t *testing.T) {
	const client, target = "10.0.0.1:40000", "192.168.200.22:80"
	f := &diagnose.Flow{Target: netip.MustParseAddrPort(target)}
	now := int64(0)
	pass := func(e probe.Event, s probe.Segment) {
		now += 1e6
		e.Time = now
		if e.Kind == probe.KindInner {
			e.SetSegment(s)
		}
		AddToFlow(f, &e)
	}
	const push = probe.TCPAck | probe.TCPPsh
	back := func(s probe.Segment) (message int64) {
		e := packet(probe.SeamTUNWrite, probe.A6, target, client, push)
		m := e
		m.Kind, m.Seam, m.Checkpoint = probe.KindData, probe.SeamUDPReceive, probe.A5
		pass(m, s)
		pass(e, s)
		return now - 1e6
	}
	pass(packet(probe.SeamTUNRead, probe.A1, client, target, push), probe.Segment{Seq: 100, Ack: 900, Content: 50, Stamp: 7000, Echo: 300})
	back(probe.Segment{Seq: 800, Ack: 100, Content: 100, Stamp: 400, Echo: 6000})
	if f.Works() {
		t.Error("what is repeated is an answer")
	}
	at := back(probe.Segment{Seq: 900, Ack: 150, Content: 10, Stamp: 500, Echo: 7000})
	back(probe.Segment{Seq: 910, Ack: 150, Content: 10, Stamp: 600, Echo: 7000})
	if !f.Works() || f.Seen[probe.A5].Time != at || f.Seen[probe.A6].Time != at+1e6 {
		t.Errorf("works: %t, A5 %+v, A6 %+v", f.Works(), f.Seen[probe.A5], f.Seen[probe.A6])
	}
}

// The reply to an echo request that was sent before is not of the one that is seen.
func TestEarlierEcho(t *testing.T) {
	f := &diagnose.Flow{Target: netip.MustParseAddrPort("10.0.0.2:0")}
	echo := func(kind probe.Kind, cp probe.Checkpoint, src, dst string, typ uint8, seq uint16) {
		e := packet(cp.Seam(), cp, src, dst, typ)
		e.Kind, e.Proto, e.InnerSrcPort, e.InnerDstPort = kind, probe.ProtoICMP, 77, seq
		AddToFlow(f, &e)
	}
	reply := func(seq uint16) {
		echo(probe.KindData, probe.A5, "10.0.0.2:0", "10.0.0.1:0", 0, seq)
		echo(probe.KindInner, probe.A6, "10.0.0.2:0", "10.0.0.1:0", 0, seq)
	}
	echo(probe.KindInner, probe.A1, "10.0.0.1:0", "10.0.0.2:0", 8, 2)
	if reply(1); f.Works() || f.Seen[probe.A5] != nil || f.Seen[probe.A6] != nil {
		t.Errorf("works: %t, A5 %+v, A6 %+v", f.Works(), f.Seen[probe.A5], f.Seen[probe.A6])
	}
	if reply(2); !f.Works() || f.Seen[probe.A5] == nil || f.Seen[probe.A6] == nil {
		t.Errorf("works: %t, A5 %+v, A6 %+v", f.Works(), f.Seen[probe.A5], f.Seen[probe.A6])
	}
}

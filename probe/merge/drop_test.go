package merge

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// drops has the kernel of host i drop the packet of an event a little after the present, by true
// time.
func (w *world) drops(i int, after int64, e probe.Event, on evidence.Segment, d evidence.KernelDrop) {
	e.Seam, e.Checkpoint, e.PrefixBits = 0, probe.CheckpointNone, probe.NoPrefix
	if e.Kind != probe.KindInner {
		e.InnerSrc, e.InnerDst, e.InnerLen = probe.Addr{}, probe.Addr{}, 0
	}
	e.Time = w.hosts[i].clock(w.now + after)
	d.At, d.Count, d.Data, d.Packet = e.When(), 1, e.Kind == probe.KindData, "a packet"
	w.hosts[i].log = append(w.hosts[i].log, logged{Event: e, drop: &recording.Drop{KernelDrop: d, Segment: on}})
}

var (
	byTC    = evidence.KernelDrop{Reason: "TC_INGRESS", Place: "__netif_receive_skb_core", Hook: "ingress", Device: "eth0", Claimed: true}
	byGuess = evidence.KernelDrop{Reason: "NO_SOCKET", Place: "__udp4_lib_rcv", Hint: true}
)

// asksInVain has a client of a ask b so often, with message and packet given to then at each time.
func asksInVain(w *world, s *wgSession, f fate, then func(message, packet probe.Event)) {
	for range 8 {
		p := packet(0, 1, 40000, 80, probe.TCPSyn)
		n := s.data(0, p, true, f)
		p.Kind, p.Peer = probe.KindInner, 2
		m := p
		m.Kind, m.Receiver, m.Counter, m.OuterLen = probe.KindData, s.toJ, n, 96
		then(m, p)
		w.now += 2 * second
	}
}

// dropCases are what the kernels of the two hosts drop, as their recordings alone have it.
var dropCases = []struct {
	name   string
	run    func(w *world, s *wgSession)
	code   diagnose.Code // healthy: that
	at     probe.Checkpoint
	host   string
	ladder string // the detail of that rung; "" for any
	joined int    // how many lost messages the kernel has dropped
}{
	{name: "messages, by the receiver", run: func(w *world, s *wgSession) {
		asksInVain(w, s, fate{lost: true}, func(m, _ probe.Event) { m.Peer = 1; w.drops(1, 2e6, m, evidence.FromWire, byTC) })
	}, code: diagnose.BPFDrop, at: probe.B3, host: "b",
		ladder: "dropped by the kernel of b: TC_INGRESS in __netif_receive_skb_core, at eth0; 8 packets in all", joined: 8},
	{name: "messages, by the receiver, whose clock is ahead and whose word comes first", run: func(w *world, s *wgSession) {
		asksInVain(w, s, fate{lost: true}, func(m, _ probe.Event) { m.Peer = 1; w.drops(1, -3e6, m, evidence.FromWire, byTC) })
	}, code: diagnose.BPFDrop, at: probe.B3, host: "b", joined: 8},
	{name: "messages, by the sender", run: func(w *world, s *wgSession) {
		by := evidence.KernelDrop{Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Hook: "egress", Device: "eth0"}
		asksInVain(w, s, fate{lost: true}, func(m, _ probe.Event) { m.Peer = 2; w.drops(0, 1e4, m, evidence.ToWire, by) })
	}, code: diagnose.BPFDrop, at: probe.A4, host: "a", joined: 8},
	{name: "other messages", run: func(w *world, s *wgSession) {
		asksInVain(w, s, fate{lost: true}, func(m, _ probe.Event) {
			m.Peer, m.Counter = 1, m.Counter+1000
			w.drops(1, 2e6, m, evidence.FromWire, byTC)
		})
	}, code: diagnose.LostOnPath, at: probe.B3},
	{name: "a hint", run: func(w *world, s *wgSession) {
		asksInVain(w, s, fate{lost: true}, func(m, _ probe.Event) { m.Peer = 1; w.drops(1, 2e6, m, evidence.FromWire, byGuess) })
	}, code: diagnose.LostOnPath, at: probe.B3},
	{name: "what has left the tunnel", run: func(w *world, s *wgSession) {
		by := evidence.KernelDrop{Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Hook: "egress", Device: "eth1"}
		asksInVain(w, s, fate{}, func(_, p probe.Event) { p.Peer = 1; w.drops(1, 4e6, p, evidence.FromTunnel, by) })
	}, code: diagnose.BPFDrop, at: probe.B5, host: "b", ladder: "dropped by the kernel of b: TC_EGRESS in __dev_queue_xmit, at eth1"},
	{name: "what never enters the tunnel", run: func(w *world, _ *wgSession) {
		by := evidence.KernelDrop{Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Hook: "egress", Device: "wg0"}
		for range 3 {
			p := packet(0, 1, 40000, 80, probe.TCPSyn)
			p.Kind, p.Peer = probe.KindInner, 2
			w.drops(0, 0, p, evidence.ToTunnel, by)
			w.now += 2 * second
		}
	}, code: diagnose.BPFDrop, at: probe.A1, host: "a",
		ladder: "dropped by the kernel of a: TC_EGRESS in __dev_queue_xmit, at wg0; 3 packets in all"},
	{name: "one of a flow that works", run: func(w *world, s *wgSession) {
		exchange(s, 20, fine)
		p := packet(0, 1, 40000, 80, probe.TCPAck)
		p.Kind, p.Peer = probe.KindInner, 1
		w.drops(1, 4e6, p, evidence.FromTunnel, byTC)
		exchange(s, 20, fine)
	}, code: diagnose.Healthy},
}

func TestKernelDrops(t *testing.T) {
	for _, test := range dropCases {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "a", "b")
			w.hosts[1].clock = skewed(7e6, 20)
			w.start()
			w.now += second
			test.run(w, w.shake(0, 1))
			w.now += 6 * second
			w.end()
			r, err := merge(t.Context(), w.recordings(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			f := r.Flows[0]
			if v := f.Verdict; v.Code != test.code || v.Checkpoint != test.at || test.host != "" && (v.Host != test.host || !v.Certain) {
				t.Errorf("verdict %+v", v)
			}
			i := slices.IndexFunc(f.Ladder, func(r diagnose.Rung) bool { return r.Checkpoint == test.at })
			if test.ladder != "" && (i < 0 || !strings.HasPrefix(f.Ladder[i].Detail, test.ladder) || f.Ladder[i].Time.IsZero()) {
				t.Errorf("ladder %+v, want %q", f.Ladder, test.ladder)
			}
			joined := 0
			for _, l := range r.Lost {
				if l.Kernel != nil {
					joined++
				}
			}
			if joined != test.joined || len(r.KernelDrops) == 0 {
				t.Errorf("%d lost messages were dropped by a kernel, want %d, of %+v", joined, test.joined, r.Lost)
			}
		})
	}
}

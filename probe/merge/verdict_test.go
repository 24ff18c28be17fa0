package merge

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// watched says that the kernel of h was watched, and nothing was seen.
func watched(h *simHost) {
	h.end.saw = append(h.end.saw, evidence.Observations{Kernel: &evidence.KernelEvidence{}})
}

// calls lets a client of a call in vain, three times: f is what becomes of each
// initiation, and then is called when it has arrived.
func calls(w *world, f fate, then func(at int64, sender uint32)) {
	for k := range 3 {
		p := packet(0, 1, 40000, 80, probe.TCPSyn)
		p.Seam, p.Kind, p.Checkpoint, p.Peer = probe.SeamTUNRead, probe.KindInner, probe.A1, 2
		w.log(0, w.now, p)
		w.index++
		at := w.call(0, 1, w.index, f)
		if then != nil {
			keep := w.now
			w.now = at + 1e5
			then(at, w.index)
			w.now = keep
		}
		w.now += 5*second + int64(k)*1e8
	}
}

// verdictCases are the faults of a flow from a to b that a alone cannot tell from others.
var verdictCases = []struct {
	name    string
	run     func(w *world)
	code    diagnose.Code
	at      probe.Checkpoint
	host    string // "" for any
	certain bool
}{
	{name: "unknown peer",
		run:  func(w *world) { calls(w, fate{reason: probe.UnknownPeer}, nil) },
		code: diagnose.UnknownPeer, at: probe.B2, host: "b", certain: true},
	{name: "wrong public key", run: func(w *world) {
		w.hosts[0].meta.Peers[0].PublicKey = simKey(9)
		calls(w, fate{reason: probe.InvalidMAC1}, nil)
	}, code: diagnose.WrongPublicKey, at: probe.B2, host: "b", certain: true},
	{name: "unknown peer, then another public key", run: func(w *world) {
		calls(w, fate{reason: probe.UnknownPeer}, nil)
		w.hosts[0].meta.Peers[0].PublicKey = simKey(9)
		calls(w, fate{reason: probe.InvalidMAC1}, nil)
	}, code: diagnose.WrongPublicKey, at: probe.B2, host: "b", certain: true},
	{name: "another public key, then unknown peer", run: func(w *world) {
		calls(w, fate{reason: probe.InvalidMAC1}, nil)
		calls(w, fate{reason: probe.UnknownPeer}, nil)
	}, code: diagnose.UnknownPeer, at: probe.B2, host: "b", certain: true},
	{name: "lost on the way",
		run:  func(w *world) { watched(w.hosts[1]); calls(w, fate{lost: true}, nil) },
		code: diagnose.LostOnPath, at: probe.B1, certain: true},
	{name: "lost, nobody watched",
		run:  func(w *world) { calls(w, fate{lost: true}, nil) },
		code: diagnose.LostOnPath, at: probe.B1},
	{name: "lost on the way back", run: func(w *world) {
		watched(w.hosts[0])
		calls(w, fate{}, func(_ int64, sender uint32) { w.answer(1, 0, sender+7000, sender, fate{lost: true}) })
	}, code: diagnose.LostOnPath, at: probe.A3, certain: true},
	{name: "data lost", run: func(w *world) {
		watched(w.hosts[1])
		s := w.shake(0, 1)
		for range 8 {
			s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{lost: true})
			w.now += 2 * second
		}
	}, code: diagnose.LostOnPath, at: probe.B3, certain: true},
	{name: "replies lost", run: func(w *world) {
		watched(w.hosts[0])
		s := w.shake(0, 1)
		for range 8 {
			s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{})
			w.now += second
			s.data(1, packet(1, 0, 80, 40000, probe.TCPSyn|probe.TCPAck), false, fate{lost: true})
			w.now += second
		}
	}, code: diagnose.LostOnPath, at: probe.A5, certain: true},
	{name: "fine, then data lost", run: func(w *world) {
		watched(w.hosts[1])
		s := w.shake(0, 1)
		exchange(s, 100, fine)
		for range 8 {
			s.data(0, packet(0, 1, 40000, 80, probe.TCPAck|probe.TCPPsh), true, fate{lost: true})
			w.now += 2 * second
		}
	}, code: diagnose.LostOnPath, at: probe.B3, certain: true},
	{name: "fine, then new connections lost while an old one repeats its end", run: func(w *world) {
		watched(w.hosts[1])
		s := w.shake(0, 1)
		exchange(s, 100, fine)
		for range 8 {
			s.data(0, packet(0, 1, 40001, 80, probe.TCPSyn), true, fate{lost: true})
			w.now += second
			s.data(1, packet(1, 0, 80, 40000, probe.TCPFin|probe.TCPAck), false, fate{})
			w.now += second / 2
			s.data(0, packet(0, 1, 40000, 80, probe.TCPAck), true, fate{lost: true})
			w.now += second / 2
		}
	}, code: diagnose.LostOnPath, at: probe.B3, certain: true},
	{name: "fine, then data lost, and calls as well", run: func(w *world) {
		watched(w.hosts[1])
		s := w.shake(0, 1)
		exchange(s, 100, fine)
		for range 8 {
			s.data(0, packet(0, 1, 40001, 80, probe.TCPSyn), true, fate{lost: true})
			w.now += 2 * second
		}
		w.index++
		w.call(0, 1, w.index, fate{lost: true})
		w.now += second
	}, code: diagnose.LostOnPath, at: probe.B3, certain: true},
	{name: "hundreds of connections, answers late", run: func(w *world) {
		s := w.shake(0, 1)
		const late = 100
		for i := range uint16(600) {
			s.data(0, packet(0, 1, 40000+i, 80, probe.TCPSyn), true, fate{})
			w.now += second / 100
			if i >= late {
				s.data(1, packet(1, 0, 80, 40000+i-late, probe.TCPSyn|probe.TCPAck), false, fate{})
			}
		}
	}, code: diagnose.Healthy, certain: true},
	{name: "healthy",
		run:  func(w *world) { exchange(w.shake(0, 1), 10, fine) },
		code: diagnose.Healthy, certain: true},
	{name: "no answer behind", run: func(w *world) {
		s := w.shake(0, 1)
		for range 8 {
			s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{})
			w.now += 2 * second
		}
	}, code: diagnose.NoReplyFromDestination, at: probe.B7, host: "b"},
}

func TestVerdicts(t *testing.T) {
	for _, c := range verdictCases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "a", "b")
			w.start()
			w.now += second
			c.run(w)
			w.now += 3 * second
			w.end()
			f := the(t, w.merge())
			v := &f.Verdict
			if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.certain || c.host != "" && v.Host != c.host {
				t.Errorf("verdict %s at %v on %q, certain %v: %s\n%q", v.Code, v.Checkpoint, v.Host, v.Certain, v.Summary, v.Evidence)
			}
		})
	}
}

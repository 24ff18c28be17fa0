package merge

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Each fault that A alone cannot tell from others.
func TestVerdicts(t *testing.T) {
	watched := func(h *simHost) {
		h.end.saw = append(h.end.saw, evidence.Observations{Kernel: &evidence.KernelEvidence{}})
	}
	calls := func(w *world, f fate, then func(at int64, sender uint32)) {
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
	for name, c := range map[string]struct {
		run     func(w *world)
		code    diagnose.Code
		at      probe.Checkpoint
		host    string
		certain bool
	}{
		"unknown peer": {func(w *world) { calls(w, fate{reason: probe.UnknownPeer}, nil) }, diagnose.UnknownPeer, probe.B2, "b", true},
		"wrong public key": {func(w *world) {
			w.hosts[0].meta.Peers[0].PublicKey = simKey(9)
			calls(w, fate{reason: probe.InvalidMAC1}, nil)
		}, diagnose.WrongPublicKey, probe.B2, "b", true},
		"lost on the way":      {func(w *world) { watched(w.hosts[1]); calls(w, fate{lost: true}, nil) }, diagnose.LostOnPath, probe.B1, "", true},
		"lost, nobody watched": {func(w *world) { calls(w, fate{lost: true}, nil) }, diagnose.LostOnPath, probe.B1, "", false},
		"lost on the way back": {func(w *world) {
			watched(w.hosts[0])
			calls(w, fate{}, func(_ int64, sender uint32) { w.answer(1, 0, sender+7000, sender, fate{lost: true}) })
		}, diagnose.LostOnPath, probe.A3, "", true},
		"data lost": {func(w *world) {
			watched(w.hosts[1])
			s := w.shake(0, 1)
			for range 8 {
				s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{lost: true})
				w.now += 2 * second
			}
		}, diagnose.LostOnPath, probe.B3, "", true},
		"replies lost": {func(w *world) {
			watched(w.hosts[0])
			s := w.shake(0, 1)
			for range 8 {
				s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{})
				w.now += second
				s.data(1, packet(1, 0, 80, 40000, probe.TCPSyn|probe.TCPAck), false, fate{lost: true})
				w.now += second
			}
		}, diagnose.LostOnPath, probe.A5, "", true},
		"fine, then data lost": {func(w *world) {
			watched(w.hosts[1])
			s := w.shake(0, 1)
			exchange(s, 100, fine)
			for range 8 {
				s.data(0, packet(0, 1, 40000, 80, probe.TCPAck|probe.TCPPsh), true, fate{lost: true})
				w.now += 2 * second
			}
		}, diagnose.LostOnPath, probe.B3, "", true},
		"fine, then new connections lost while an old one repeats its end": {func(w *world) {
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
		}, diagnose.LostOnPath, probe.B3, "", true},
		"fine, then data lost, and calls as well": {func(w *world) {
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
		}, diagnose.LostOnPath, probe.B3, "", true},
		"hundreds of connections, answers late": {func(w *world) {
			s := w.shake(0, 1)
			const late = 100
			for i := range uint16(600) {
				s.data(0, packet(0, 1, 40000+i, 80, probe.TCPSyn), true, fate{})
				w.now += second / 100
				if i >= late {
					s.data(1, packet(1, 0, 80, 40000+i-late, probe.TCPSyn|probe.TCPAck), false, fate{})
				}
			}
		}, diagnose.Healthy, 0, "", true},
		"healthy": {func(w *world) { exchange(w.shake(0, 1), 10, fine) }, diagnose.Healthy, 0, "", true},
		"no answer behind": {func(w *world) {
			s := w.shake(0, 1)
			for range 8 {
				s.data(0, packet(0, 1, 40000, 80, probe.TCPSyn), true, fate{})
				w.now += 2 * second
			}
		}, diagnose.NoReplyFromDestination, probe.B7, "b", false},
	} {
		t.Run(name, func(t *testing.T) {
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

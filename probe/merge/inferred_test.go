package merge

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// spokes are the recordings of two hosts that have only the hub in common, which was not
// recorded. talk is what they say through it.
func spokes(t *testing.T, talk func(w *world, toHub, fromHub *wgSession)) *Result {
	t.Helper()
	w := newWorld(t, "a", "hub", "c")
	for _, i := range []int{0, 2} {
		w.hosts[i].meta.Peers = []recording.Peer{w.hosts[i].meta.Peers[map[int]int{0: 0, 2: 1}[i]]}
		w.hosts[i].meta.Addrs = append(w.hosts[i].meta.Addrs, simInner(i))
	}
	w.hosts[2].clock = skewed(300e6, 0)
	w.start()
	w.now += second
	talk(w, w.shake(0, 1), w.shake(2, 1))
	w.now += 20 * second
	w.end()
	w.hosts = []*simHost{w.hosts[0], w.hosts[2]}
	return w.merge()
}

// Two spokes are joined by what is inside of their messages: who got what, and who did not.
// That is inferred, so that no verdict is certain that rests on it.
func TestSpokesWithoutHub(t *testing.T) {
	request, reply := packet(0, 2, 40000, 80, probe.TCPSyn), packet(2, 0, 80, 40000, probe.TCPSyn|probe.TCPAck)
	reset := packet(2, 0, 80, 40000, probe.TCPRst|probe.TCPAck)
	other := packet(0, 2, 41000, 80, probe.TCPSyn)
	// repeated has a ask in vain for long enough.
	repeated := func(w *world, s, u *wgSession, p probe.Event, forth, back fate, answer *probe.Event) {
		for range 4 {
			s.data(0, p, true, fate{})
			w.now += 4e6
			if !forth.lost {
				u.data(1, p, true, fate{})
				w.now += 4e6
				if answer != nil {
					u.data(2, *answer, false, fate{})
					w.now += 4e6
					if !back.lost {
						s.data(1, *answer, false, fate{})
					}
				}
			}
			w.now += 3 * second
		}
	}
	for _, c := range []struct {
		name    string
		talk    func(w *world, s, u *wgSession)
		flows   int
		hops    int
		code    diagnose.Code
		certain bool
		says    string
	}{
		{name: "well", talk: func(w *world, s, u *wgSession) { repeated(w, s, u, request, fate{}, fate{}, &reply) }, flows: 1, hops: 2,
			code: diagnose.Healthy, certain: true, says: "which lies between, was not recorded"},
		{name: "lost at the hub", talk: func(w *world, s, u *wgSession) { repeated(w, s, u, request, fate{lost: true}, fate{}, nil) },
			flows: 1, hops: 1, code: diagnose.NoReply, says: "c has not got it"},
		{name: "lost on the way back", talk: func(w *world, s, u *wgSession) { repeated(w, s, u, request, fate{}, fate{lost: true}, &reply) },
			flows: 1, hops: 2, code: diagnose.NoReply, says: "c has answered"},
		{name: "no answer there", talk: func(w *world, s, u *wgSession) { repeated(w, s, u, request, fate{}, fate{}, nil) },
			flows: 1, hops: 2, code: diagnose.NoReplyFromDestination, says: "are those"},
		{name: "refused there", talk: func(w *world, s, u *wgSession) { repeated(w, s, u, request, fate{}, fate{}, &reset) },
			flows: 1, hops: 2, code: diagnose.ConnectionRefused, certain: true, says: "are those"},
		{name: "another connection, at another time", talk: func(w *world, s, u *wgSession) {
			repeated(w, s, u, request, fate{lost: true}, fate{}, nil)
			w.now += 9 * second
			u.data(1, other, true, fate{})
		}, flows: 2, hops: 1, code: diagnose.NoReply, says: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := spokes(t, c.talk)
			if len(r.Flows) != c.flows || !strings.Contains(strings.Join(r.Remarks, "\n"), "(inferred)") {
				t.Fatalf("%d flows, remarks %q: %+v", len(r.Flows), r.Remarks, r.Flows)
			}
			var f *Flow
			for i := range r.Flows {
				if r.Flows[i].Hops[0].RecordedA {
					f = &r.Flows[i]
				}
			}
			text := f.Verdict.Summary + strings.Join(evidence.Texts(f.Verdict.Evidence), "\n")
			if len(f.Hops) != c.hops || f.Verdict.Code != c.code || f.Verdict.Certain != c.certain || !strings.Contains(text, c.says) {
				t.Errorf("%d hops, %s, certain %v: %s", len(f.Hops), f.Verdict.Code, f.Verdict.Certain, text)
			}
			if c.hops == 2 {
				var way []string
				for _, g := range f.Ladder {
					way = append(way, g.Host+g.Checkpoint.String())
				}
				const want = "aA1 aA2 aA3 aA4 cB1 cB2 cB3 cB4 cB5 cB6 cB7 cB8 aA5 aA6"
				if got := strings.Join(way, " "); got != want {
					t.Errorf("ladder %s\nwant   %s", got, want)
				}
			}
		})
	}
}

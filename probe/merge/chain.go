package merge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// chainKey is what the hops of one flow have in common.
type chainKey struct {
	client, server probe.Addr
	port           uint16
	proto          uint8
}

// flows puts hops together that follow each other, and judges them.
func (m *merger) flows() []Flow {
	chains := make(map[chainKey][]*hop)
	for _, f := range m.hops {
		chains[f.chain()] = append(chains[f.chain()], f)
	}
	var flows []Flow
	for _, hops := range chains {
		slices.SortFunc(hops, func(a, b *hop) int { return cmp.Compare(a.order, b.order) })
		for len(hops) > 0 {
			var chain []*hop
			chain, hops = oneChain(hops)
			if m.opt.wants(chain[0]) && !noise(chain[0]) {
				flows = append(flows, m.flow(chain))
			}
		}
	}
	slices.SortFunc(flows, func(a, b Flow) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Target, b.Target)) })
	sortFlows(flows)
	return flows
}

func (o *Options) wants(f *hop) bool {
	t := f.target()
	return !o.Target.IsValid() || t.Addr() == o.Target.Addr() && (o.Target.Port() == 0 || t.Port() == o.Target.Port())
}

// noise reports whether a flow is only what a kernel says on every link, such as to
// routers that are not there.
func noise(f *hop) bool {
	a := f.key.server.Netip()
	return a.IsMulticast() && (f.key.a == 0 || f.key.b == 0)
}

// oneChain takes the hops of one flow out of hops: the second begins where the first
// ends.
func oneChain(hops []*hop) (chain, rest []*hop) {
	first := 0
	for i, f := range hops { // where none ends
		if !slices.ContainsFunc(hops, func(g *hop) bool { return g != f && follows(g, f) && g.key.a != f.key.b }) {
			first = i
			break
		}
	}
	chain = append(chain, hops[first])
	rest = append(rest, hops[:first]...)
	rest = append(rest, hops[first+1:]...)
	for {
		last := chain[len(chain)-1]
		i := slices.IndexFunc(rest, func(g *hop) bool { return follows(last, g) })
		if i < 0 {
			return chain, rest
		}
		chain = append(chain, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
}

func (m *merger) flow(chain []*hop) Flow {
	f := chain[0]
	out := Flow{Client: f.key.client.Netip(), Target: probe.TargetText(f.target()), Proto: probe.ProtocolName(f.key.proto),
		Began: time.Unix(0, f.began).UTC()}
	for i, g := range chain {
		v, rungs := m.judge(g)
		sortRungs(rungs)
		switch {
		case i == 0:
			out.Verdict, out.Ladder = v, rungs
			if len(chain) == 1 {
				m.notThere(&out.Verdict, g)
			}
		case unrecorded(chain[i-1], g):
			out.Ladder = between(out.Ladder, rungs)
			m.infer(&out.Verdict, g, v)
		default:
			out.Ladder = between(passedOn(out.Ladder, g, m.nameOf(g.key.b)), rungs)
			// The packet has come as far as this: what is wrong is further on.
			if !out.Verdict.Healthy() && chain[i-1].passed[probe.B4].n > 0 && !ends(&out.Verdict) && v.Code != diagnose.Idle {
				out.Verdict = v
			}
		}
		passed, dropped := g.counts()
		out.Hops = append(out.Hops, Hop{A: m.nameOf(g.key.a), B: m.nameOf(g.key.b), RecordedA: g.a >= 0, RecordedB: g.b >= 0,
			Forth: g.legs[0], Back: g.legs[1], Passed: passed, Dropped: dropped, Arrows: g.arrows, Missed: max(g.missed, 0)})
	}
	return out
}

// passedOn says in the ladder so far that the packet went on to another peer.
func passedOn(rungs []diagnose.Rung, next *hop, to string) []diagnose.Rung {
	for i := range rungs {
		switch r := &rungs[i]; {
		case r.Checkpoint == probe.B5 && next.passed[probe.A1].n > 0 && r.Status != diagnose.Pass && r.Time.IsZero():
			r.Status, r.Detail = diagnose.Pass, "passed on to "+to
		case r.Checkpoint == probe.B6 && next.passed[probe.A6].n > 0 && r.Status != diagnose.Pass && r.Time.IsZero():
			r.Status, r.Detail = diagnose.Pass, "came back from "+to
		}
	}
	return rungs
}

// ends reports whether a verdict is sure of a fault on its own hop.
func ends(v *diagnose.Verdict) bool { return v.Certain && !v.Healthy() }

// between puts the rungs of the next hop where the packet leaves the one before: behind B5, or,
// of a host that was not recorded, before the answer comes back.
func between(rungs, next []diagnose.Rung) []diagnose.Rung {
	at := len(rungs)
	if i := slices.IndexFunc(rungs, func(r diagnose.Rung) bool { return r.Checkpoint == probe.A5 }); i >= 0 {
		at = i
	}
	for i := len(rungs) - 1; i >= 0; i-- {
		if rungs[i].Checkpoint == probe.B5 {
			at = i + 1
			break
		}
	}
	return slices.Insert(slices.Clone(rungs), at, next...)
}

// nameOf is how the host, or the peer, of a key is called.
func (m *merger) nameOf(key int32) string {
	if key == 0 {
		return ""
	}
	if i := m.of[key]; i >= 0 {
		return m.hosts[i].label()
	}
	if m.names[key] != "" {
		return m.names[key]
	}
	for k, n := range m.keys {
		if n == key {
			return diagnose.PeerLabel(k, "")
		}
	}
	return ""
}

// rungs are a host's part of the ladder, with its name, in reference time.
func (m *merger) rungs(h *host, facts *diagnose.Facts, f *hop, v *diagnose.Verdict, end time.Time) []diagnose.Rung {
	rungs := facts.Ladder(v, end)
	for i := range rungs {
		r := &rungs[i]
		r.Host = h.label()
		if !r.Time.IsZero() {
			r.Time = time.Unix(0, h.reference(r.Time.UnixNano())).UTC()
		}
		n := f.passed[r.Checkpoint].n
		if f.failed(m.hosts[max(f.a, 0)].ends) {
			n = 0 // most of them before the end that is judged
		}
		behind := r.Checkpoint.Seam() == probe.SeamForward
		switch {
		case r.Status == diagnose.Unknown && behind && seen(rungs, probe.B4) && seen(rungs, probe.B7):
			r.Status, r.Detail = diagnose.Pass, "not looked at; the reply says that it was passed"
		case r.Status == diagnose.Pass && n > 1:
			r.Detail += fmt.Sprintf("; %d packets in all", n)
		case r.Status == diagnose.Unknown && r.Detail == "":
			r.Detail = "nothing seen"
		}
	}
	return rungs
}

func seen(rungs []diagnose.Rung, cp probe.Checkpoint) bool {
	return slices.ContainsFunc(rungs, func(r diagnose.Rung) bool { return r.Checkpoint == cp && r.Status == diagnose.Pass })
}

// Mark returns a ladder with the rung failed that a verdict is about, and none else:
// the verdict may be another than the ladder was made for.
func Mark(rungs []diagnose.Rung, v *diagnose.Verdict) []diagnose.Rung {
	rungs = slices.Clone(rungs)
	for i := range rungs {
		r := &rungs[i]
		switch {
		case r.Checkpoint == v.Checkpoint && !v.Healthy() && (v.Host == "" || v.Host == r.Host || r.Checkpoint.Side() == probe.SideB):
			r.Status = diagnose.Fail
			if r.Time.IsZero() {
				r.Detail = v.Summary
			}
		case r.Status == diagnose.Fail && r.Time.IsZero():
			r.Status, r.Detail = diagnose.Unknown, "nothing seen"
		case r.Status == diagnose.Fail:
			r.Status = diagnose.Pass
		}
	}
	return rungs
}

func sortRungs(rungs []diagnose.Rung) {
	slices.SortStableFunc(rungs, func(a, b diagnose.Rung) int {
		return cmp.Compare(a.Checkpoint.Order(), b.Checkpoint.Order())
	})
}

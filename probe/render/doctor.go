package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/overview"
)

const (
	// foldFrom is from how many peers on that have the same verdict one stands for all.
	foldFrom = 4
	// foldedNames is how many names of such peers are listed.
	foldedNames = 12
)

// Doctor writes r as text: its peers, faults first, then the findings. A peer that has a fault has
// its ladder and what to do. Of many with the same verdict one stands for all, with the names of
// the others; of those that are well there are the names alone. With [Options.Whole] each peer has
// all there is to say of it. See [Report].
func Doctor(w io.Writer, r *diagnose.DoctorReport, opt Options) error {
	t := text{opt: &opt}
	t.put(bold, r.Interface)
	t.newline()
	t.level(r.Level)
	for _, g := range verdictGroups(r.Peers) {
		if opt.Whole || len(g) < foldFrom {
			for _, p := range g {
				t.newline()
				t.put(plain, "peer ")
				t.doctored(p, 2, opt.Whole || faulty(p))
			}
			continue
		}
		t.newline()
		t.folded(r.Interface, g)
	}
	t.drops("dropped, from no known peer: ", r.Drops, 0)
	t.findings(r.Findings)
	if len(r.Findings) == 0 {
		t.newline()
		t.put(plain, "No other problems found.")
		t.newline()
	}
	t.list("Not checked", r.Unchecked)
	return t.writeTo(w)
}

// faulty reports whether something is wrong with a peer.
func faulty(p *diagnose.PeerReport) bool {
	return !p.Verdict.Healthy() && p.Verdict.Code != diagnose.Idle || p.State == diagnose.StateDegraded
}

// verdictGroups are the peers, those together that have the same verdict, faults first, and else
// in their order.
func verdictGroups(peers []diagnose.PeerReport) [][]*diagnose.PeerReport {
	type kind struct {
		code       diagnose.Code
		checkpoint probe.Checkpoint
		where      diagnose.Where
		certain    bool
		degraded   bool
	}
	var groups [][]*diagnose.PeerReport
	at := make(map[kind]int)
	for i := range peers {
		p := &peers[i]
		k := kind{code: p.Verdict.Code, degraded: p.State == diagnose.StateDegraded}
		if faulty(p) {
			k.checkpoint, k.where, k.certain = p.Verdict.Checkpoint, p.Verdict.Where, p.Verdict.Certain
		}
		g, ok := at[k]
		if !ok {
			g = len(groups)
			at[k] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], p)
	}
	slices.SortStableFunc(groups, func(a, b []*diagnose.PeerReport) int { return groupRank(a) - groupRank(b) })
	return groups
}

// groupRank is the place of a group: that of the first of its peers' states.
func groupRank(g []*diagnose.PeerReport) int {
	rank := len(overview.States())
	for _, p := range g {
		if i := slices.Index(overview.States(), p.State); i >= 0 {
			rank = min(rank, i)
		}
	}
	return rank
}

// doctored writes what there is to say of a peer, from its name on.
func (t *text) doctored(p *diagnose.PeerReport, indent int, ladder bool) {
	if p.PeerName != "" {
		t.put(bold, p.PeerName)
		t.put(plain, "  ")
	}
	t.put(dim, p.Peer)
	if p.State != "" {
		t.put(plain, "  ")
		t.put(stateStyles[p.State], string(p.State))
	}
	t.newline()
	t.whereabouts(p.Endpoint, indent)
	if ladder {
		t.ladder(p.Ladder, indent)
	}
	t.verdict(&p.Verdict, indent)
	t.drops("dropped: ", p.Drops, indent)
}

// folded writes of peers with the same verdict how many they are, their names, and if it is a
// fault one of them.
func (t *text) folded(link string, g []*diagnose.PeerReport) {
	v := &g[0].Verdict
	t.verdictSign(v)
	t.put(plain, fmt.Sprintf(" %d peers: ", len(g)))
	t.verdictCode(v)
	t.newline()
	drops := make(map[string]uint64)
	states := make(map[diagnose.State]int)
	var names []string
	for _, p := range g {
		states[p.State]++
		for reason, n := range p.Drops {
			drops[reason] += n
		}
		if len(names) < foldedNames {
			names = append(names, t.peerLabel(p))
		}
	}
	if len(states) > 1 {
		var words []string
		for _, s := range overview.States() {
			if n := states[s]; n > 0 {
				words = append(words, fmt.Sprintf("%d %s", n, s))
			}
		}
		t.to(2)
		t.wrap(dim, strings.Join(words, ", "), 2, "")
	}
	line := strings.Join(names, ", ")
	if more := len(g) - len(names); more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	t.to(2)
	t.wrap(plain, line, 2, "")
	if faulty(g[0]) {
		t.newline()
		t.to(2)
		t.put(plain, "one of them: ")
		t.doctored(g[0], 4, true)
		t.newline()
		t.to(2)
		t.wrap(dim, "another one: wgnode doctor "+link+" PEER; all of them: --verbose", 2, "")
	}
	t.drops("dropped, of all of them: ", drops, 2)
}

// peerLabel is a peer's name, or else the beginning of its key.
func (t *text) peerLabel(p *diagnose.PeerReport) string {
	if p.PeerName != "" {
		return p.PeerName
	}
	return t.opt.ShortKey(p.Peer)
}

package render

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// Report writes r as text: the ladder of the flow, the verdict with what it
// rests on and what to type, and what was found besides. It wraps prose to the
// width of opt, but no line that is to be typed. The error is that of w.
func Report(w io.Writer, r *diagnose.Report, opt Options) error {
	t := text{opt: &opt}
	t.heading(r.Interface, r.Target, r.Peer, r.PeerName)
	switch r.Side {
	case probe.SideA:
		t.put(dim, " (this host sends: side A)")
	case probe.SideB:
		t.put(dim, " (this host receives: side B)")
	}
	t.newline()
	t.level(r.Level)
	if r.As != "" {
		t.put(dim, "probed as "+r.As)
		t.newline()
	}
	t.newline()
	t.ladder(r.Ladder, 0)
	t.verdict(&r.Verdict, 0)
	t.findings(r.Findings)
	t.list("Not checked", r.Unchecked)
	return t.writeTo(w)
}

// level says how much is known of the tunnel's packets, where that is not all.
func (t *text) level(l probe.Level) {
	if says := l.Meaning(); says != "" {
		t.wrap(dim, "level "+string(l)+": "+says, 0, "")
	}
}

// stateStyles are the colors of states; those that say nothing either way have
// none.
var stateStyles = map[diagnose.State]eventtext.Style{
	diagnose.StateUp:       green,
	diagnose.StateDegraded: red,
	diagnose.StateFailing:  red,
}

// drops writes what was dropped, most first, if anything was.
func (t *text) drops(label string, drops map[string]uint64, indent int) {
	drops = maps.Clone(drops)
	delete(drops, probe.LinkScope.String()) // which is no trouble
	if len(drops) == 0 {
		return
	}
	reasons := slices.SortedFunc(maps.Keys(drops), func(a, b string) int {
		return cmp.Or(cmp.Compare(drops[b], drops[a]), cmp.Compare(a, b))
	})
	for i, r := range reasons {
		reasons[i] = dropped(drops[r], r)
	}
	t.newline()
	t.put(plain, strings.Repeat(" ", indent)+label+strings.Join(reasons, ", "))
	t.newline()
}

// mark is the sign of a rung, or of a verdict.
func (t *text) mark(s diagnose.Status) {
	switch s {
	case diagnose.Pass:
		t.sign(passed)
	case diagnose.Fail:
		t.sign(failed)
	case diagnose.NotNeeded:
		t.sign(skipped)
	default:
		t.sign(unclear)
	}
}

// ladder writes the rungs in the order of their checkpoints, indented. The
// column of times is there only if there are any.
func (t *text) ladder(rungs []diagnose.Rung, indent int) {
	rungs = slices.Clone(rungs)
	slices.SortStableFunc(rungs, func(a, b diagnose.Rung) int { return int(a.Checkpoint) - int(b.Checkpoint) })
	t.rungs(rungs, indent)
}

// rungs writes them as they come. The columns of hosts and times are there only if
// there are any.
func (t *text) rungs(rungs []diagnose.Rung, indent int) {
	host := 0
	for i := range rungs {
		host = max(host, columns(t.opt.Escape(rungs[i].Host)))
	}
	timed := slices.ContainsFunc(rungs, func(r diagnose.Rung) bool { return !r.Time.IsZero() })
	detail := indent + len("✓ A1 udp-receive ") - len("✓") + 1
	if host > 0 {
		detail += host + 1
	}
	if timed {
		detail += eventtext.ClockWidth + 1
	}
	for i := range rungs {
		r := &rungs[i]
		t.to(indent)
		t.mark(r.Status)
		t.put(plain, " ")
		t.put(eventtext.SideStyle(r.Checkpoint), r.Checkpoint.String())
		t.put(plain, " "+rungSeam(r))
		if host > 0 {
			t.to(indent + len("A A1 udp-receive "))
			t.put(plain, r.Host)
		}
		if timed {
			t.to(detail - eventtext.ClockWidth - 1)
			if !r.Time.IsZero() {
				t.put(dim, string(t.opt.AppendClock(nil, r.Time)))
			}
		}
		t.to(detail)
		t.wrap(rungStyle(r.Status), rungDetail(r), detail, "")
	}
}

func rungStyle(s diagnose.Status) eventtext.Style {
	if s == diagnose.NotNeeded {
		return dim
	}
	return plain
}

func rungSeam(r *diagnose.Rung) string {
	if r.Seam == probe.SeamNone {
		return r.Checkpoint.Seam().String()
	}
	return r.Seam.String()
}

// rungDetail is the rung's own detail; without one, what the checkpoint is.
func rungDetail(r *diagnose.Rung) string {
	if r.Detail != "" || r.Checkpoint == probe.CheckpointNone {
		return r.Detail
	}
	what := r.Checkpoint.Text()
	switch r.Status {
	case diagnose.Fail:
		return what + ": did not happen"
	case diagnose.NotNeeded:
		return what + ": not needed"
	case diagnose.Pass:
		return what
	}
	return what + ": not seen"
}

// places say in words where a fault lies.
var places = map[diagnose.Where]string{
	diagnose.WhereHere:   "on this host",
	diagnose.WherePath:   "between the two hosts",
	diagnose.WherePeer:   "at the peer",
	diagnose.WhereBeyond: "behind the peer",
}

func (t *text) verdict(v *diagnose.Verdict, indent int) {
	t.newline()
	t.to(indent)
	t.verdictSign(v)
	t.put(plain, " ")
	t.verdictCode(v)
	body := indent + 2
	t.newline()
	if v.Summary != "" {
		t.to(body)
		t.wrap(bold, v.Summary, body, "")
	}
	t.section("Evidence", len(v.Evidence), body)
	for _, e := range v.Evidence {
		t.item(body+2, "-", evidenceText(e))
	}
	t.section("Possible causes, likeliest first", len(v.Candidates), body)
	for i, c := range v.Candidates {
		t.item(body+2, strconv.Itoa(i+1)+".", string(c.Code)+": "+c.Check)
	}
	t.section("What to do", len(v.Fix), body)
	t.fix(v.Fix, body+2)
}

// verdictSign says in one column whether something is wrong.
func (t *text) verdictSign(v *diagnose.Verdict) {
	switch {
	case v.Healthy():
		t.mark(diagnose.Pass)
	case v.Code == diagnose.Idle:
		t.mark(diagnose.Unknown)
	default:
		t.mark(diagnose.Fail)
	}
}

// verdictCode says what, and of a fault where.
func (t *text) verdictCode(v *diagnose.Verdict) {
	switch {
	case v.Healthy():
		t.put(green, string(v.Code))
	case v.Code == diagnose.Idle:
		t.put(yellow, string(v.Code))
	default:
		t.put(red, string(v.Code))
		t.put(plain, " ("+verdictPlace(v)+")")
	}
}

// doubts say in words how what proves nothing is known.
var doubts = map[evidence.Known]string{
	evidence.Claimed:  " (a claim: anybody could have sent it)",
	evidence.Inferred: " (inferred)",
}

func evidenceText(l evidence.Line) string { return l.Text + doubts[l.Known] }

// verdictPlace says class, checkpoint, place and certainty, as far as known.
func verdictPlace(v *diagnose.Verdict) string {
	words := []string{string(v.Class())}
	if v.Checkpoint != probe.CheckpointNone {
		words = append(words, "at "+v.Checkpoint.String())
	}
	switch place := places[v.Where]; {
	case v.Host != "":
		words = append(words, hostPlace(v))
	case v.Code == diagnose.PSKMismatch:
		words = append(words, "at either end") // neither key shows that it is the wrong one
	case place != "":
		words = append(words, place)
	}
	if v.Certain {
		words = append(words, "certain")
	} else {
		words = append(words, "not certain")
	}
	return strings.Join(words, ", ")
}

// fix writes lines to type, never wrapped; notes are.
func (t *text) fix(steps fix.Steps, indent int) {
	for _, s := range steps {
		t.to(indent)
		if s.Kind == fix.KindNote {
			t.put(dim, fix.Comment)
			t.wrap(dim, s.Note, indent, fix.Comment)
			continue
		}
		t.put(cyan, s.Line())
		t.newline()
	}
}

func (t *text) findings(fs []diagnose.Finding) {
	t.section("Other findings", len(fs), 0)
	for i := range fs {
		f := &fs[i]
		if i > 0 {
			t.newline()
		}
		t.to(2)
		t.put(yellow, "! "+string(f.Code))
		t.put(plain, ": ")
		t.wrap(plain, f.Summary, 4, "")
		t.fix(f.Fix, 6)
	}
}

package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
)

// flowsShown bounds how many flows are written; JSON has them all.
const flowsShown = 10

// Merged writes what several recordings tell together: whose they are and how the
// clocks lie, what became of messages on the way between hosts, and the ladder of
// each flow with the verdict of both sides. The error is that of w.
func Merged(w io.Writer, r *merge.Result, opt Options) error {
	t := text{opt: &opt}
	t.hosts(r)
	for i := range r.Links {
		t.link(&r.Links[i], len(r.Flows) > 0)
	}
	for i := range r.Flows {
		if i == flowsShown {
			t.newline()
			t.put(dim, fmt.Sprintf("%d more flows; --json has them all", len(r.Flows)-flowsShown))
			t.newline()
			break
		}
		t.flow(&r.Flows[i])
	}
	if len(r.Flows) == 0 {
		t.newline()
		t.put(plain, "No packet of a flow is in the recordings.")
		t.newline()
	}
	t.lost(r)
	t.kernelDrops(r)
	t.list("What is not complete", r.Remarks)
	return t.writeTo(w)
}

// Both writes what was found out about one flow by explaining it on the first host
// of a merge while both recorded: r has the ladder and the verdict of both.
func Both(w io.Writer, r *diagnose.Report, m *merge.Result, opt Options) error {
	t := text{opt: &opt}
	t.heading(r.Interface, r.Target, r.Peer, r.PeerName)
	var names []string
	for i := range m.Hosts {
		names = append(names, m.Hosts[i].Name)
	}
	t.put(dim, " (heard on "+strings.Join(names, " and ")+")")
	t.newline()
	for i := range m.Hosts {
		t.hostLevel(&m.Hosts[i])
	}
	t.newline()
	t.rungs(r.Ladder, 0)
	for i := range m.Flows {
		for j := range m.Flows[i].Hops {
			t.hop(&m.Flows[i].Hops[j])
		}
	}
	for i := range m.Clocks {
		t.to(2)
		t.wrap(dim, clockWords(&m.Clocks[i]), 4, "")
	}
	t.verdict(&r.Verdict, 0)
	t.lost(m)
	t.kernelDrops(m)
	t.findings(r.Findings)
	t.list("Not checked", r.Unchecked)
	t.list("What is not complete", m.Remarks)
	return t.writeTo(w)
}

// hostLevel says how much is known of the packets of a host's tunnel, where that is not all.
func (t *text) hostLevel(h *merge.HostResult) {
	if says := h.Level.Meaning(); says != "" {
		t.to(2)
		t.wrap(dim, h.Name+" is known at level "+string(h.Level)+": "+says, 4, "")
	}
}

func (t *text) hosts(r *merge.Result) {
	for i := range r.Hosts {
		h := &r.Hosts[i]
		t.put(bold, h.Name)
		t.put(plain, " "+h.Interface)
		t.put(dim, fmt.Sprintf("  %s, %s to %s, %s", h.File, t.opt.AppendClock(nil, h.Start), t.opt.AppendClock(nil, h.End),
			probe.Count(h.Events, "event")))
		t.newline()
		t.hostLevel(h)
	}
	for i := range r.Clocks {
		t.to(2)
		t.wrap(plain, clockWords(&r.Clocks[i]), 4, "")
	}
}

// clockWords says how a clock lies to another, as far as that is known.
func clockWords(c *merge.Clock) string {
	if c.Set {
		return fmt.Sprintf("the clock of %s, or that of %s, was set while this was recorded", c.Host, c.To)
	}
	lo, hi := c.Offset[0], c.Offset[1]
	s := fmt.Sprintf("the clock of %s is ", c.Host)
	switch {
	case lo != nil && hi != nil:
		s += fmt.Sprintf("between %s and %s ahead of that of %s", offset(*lo), offset(*hi), c.To)
	case hi != nil:
		s += fmt.Sprintf("at most %s ahead of that of %s", offset(*hi), c.To)
	case lo != nil:
		s += fmt.Sprintf("at least %s ahead of that of %s", offset(*lo), c.To)
	}
	if a, b := c.Skew[0], c.Skew[1]; a != nil && b != nil {
		s += fmt.Sprintf(", and between %.1f and %.1f ppm faster", *a, *b)
	}
	if c.RoundTrip != nil {
		s += fmt.Sprintf("; the fastest round trip took %s", ns(*c.RoundTrip))
	}
	return s
}

// offset words how far two clocks are apart. Its two bounds may be close together, so
// it has more digits than a delay.
func offset(n int64) string {
	d := time.Duration(n)
	switch a := d.Abs(); {
	case a >= 10*time.Second:
		return d.Round(time.Millisecond).String()
	case a >= 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case a >= 100*time.Microsecond:
		return d.Round(time.Microsecond).String()
	}
	return d.String()
}

// ns words nanoseconds.
func ns(n int64) string { return probe.Brief(time.Duration(n)) }

// link writes a table of what became of messages between two hosts. The verdict on
// handshakes is left out where flows have their own.
func (t *text) link(l *merge.Link, flows bool) {
	t.newline()
	t.put(bold, l.A)
	t.put(plain, t.opt.Choose(" ↔ ", " <-> "))
	t.put(bold, l.B)
	t.newline()
	rows := [][]string{{"", "sent", "arrived", "lost", "unknown", "doubled", "overtaken", "delay"}}
	for i := range l.Legs {
		g := &l.Legs[i]
		row := []string{g.From + t.arrow() + g.To + " " + g.What.String()}
		for _, n := range []uint64{g.Sent, g.Arrived, g.Lost, g.Unknown, g.Duplicated, g.Reordered} {
			row = append(row, strconv.FormatUint(n, 10))
		}
		rows = append(rows, append(row, delayWords(g.Delay)))
	}
	t.table(rows, 2)
	for i := range l.Translations {
		t.to(2)
		t.wrap(plain, translationWords(&l.Translations[i]), 4, "")
	}
	for i := range l.Legs {
		if g := &l.Legs[i]; g.Refused > 0 {
			t.item(2, "-", fmt.Sprintf("%d %s messages of %s were refused by its own host", g.Refused, g.What, g.From))
		}
		if g := &l.Legs[i]; g.Stray > 0 {
			t.item(2, "-", fmt.Sprintf("%d %s messages arrived at %s that %s did not send", g.Stray, g.What, g.To, g.From))
		}
	}
	if l.Verdict != nil && !flows {
		t.verdict(l.Verdict, 0)
	}
}

// delayWords is the shortest and the median delay, and how much more the longest
// was.
func delayWords(d *merge.Delay) string {
	if d == nil {
		return ""
	}
	if d.Median[0] == nil || d.Median[1] == nil {
		return "not known; varies by " + ns(d.Variation)
	}
	return fmt.Sprintf("%s to %s, longest %s more", ns(*d.Min[0]), ns(*d.Median[1]), ns(d.Variation))
}

func translationWords(n *merge.Translation) string {
	s := fmt.Sprintf("%s sends from port %d to %s; %s sees it come from %s", n.From, n.SentFrom, n.SentTo, n.To, n.SeenFrom)
	switch n.Source {
	case "yes":
		s += ": translated on the path"
	case "no":
		s += ": not translated"
	}
	if n.Destination == "yes" {
		s += fmt.Sprintf(", and at port %d: the destination is translated, too", n.SeenAt)
	}
	if n.Changes > 0 {
		s += fmt.Sprintf("; that has changed %d times", n.Changes)
	}
	return s
}

// table writes rows of cells; the first is a heading. All columns but the first and
// the last are of numbers.
func (t *text) table(rows [][]string, indent int) {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], columns(t.opt.Escape(c)))
		}
	}
	for n, r := range rows {
		st := plain
		if n == 0 {
			st = dim
		}
		col := indent
		for i, c := range r {
			at := col
			if i > 0 && i < len(r)-1 {
				at += widths[i] - columns(t.opt.Escape(c))
			}
			if c != "" {
				t.to(at)
				if n > 0 && i == 3 && c != "0" {
					t.put(red, c)
				} else {
					t.put(st, c)
				}
			}
			col += widths[i] + 2
		}
		t.newline()
	}
}

func (t *text) flow(f *merge.Flow) {
	t.newline()
	t.put(bold, f.Client.String())
	t.put(plain, t.arrow())
	t.put(bold, f.Target)
	t.put(plain, " "+f.Proto)
	var way []string
	for i := range f.Hops {
		h := &f.Hops[i]
		if i == 0 {
			way = append(way, whose(h.A, h.RecordedA))
		}
		way = append(way, whose(h.B, h.RecordedB))
	}
	t.put(dim, " ("+strings.Join(way, " to ")+")")
	t.newline()
	t.newline()
	t.rungs(f.Ladder, 0)
	for i := range f.Hops {
		t.hop(&f.Hops[i])
	}
	t.verdict(&f.Verdict, 0)
}

func whose(name string, recorded bool) string {
	switch {
	case name == "":
		return "nobody"
	case !recorded:
		return name + ", not recorded"
	}
	return name
}

// hop says in a line each what became of the flow's messages, if anything did.
func (t *text) hop(h *merge.Hop) {
	for _, leg := range []struct {
		name, from, to string
		*merge.Leg
	}{{"A4-B3", h.A, h.B, &h.Forth}, {"B8-A5", h.B, h.A, &h.Back}} {
		if leg.Sent == 0 || !h.RecordedA || !h.RecordedB {
			continue
		}
		s := fmt.Sprintf("%s %s to %s: %d sent, %d arrived", leg.name, leg.from, leg.to, leg.Sent, leg.Arrived)
		for _, c := range []struct {
			n    uint64
			what string
		}{{leg.Lost, "lost"}, {leg.Unknown, "not known"}, {leg.Refused, "refused"}, {leg.Duplicated, "doubled"}, {leg.Reordered, "overtaken"}} {
			if c.n > 0 {
				s += fmt.Sprintf(", %d %s", c.n, c.what)
			}
		}
		if d := delayWords(leg.Delay); d != "" {
			s += "; delay " + d
		}
		t.to(2)
		t.wrap(plain, s, 4, "")
	}
}

// hostPlace says on which of several hosts a fault lies.
func hostPlace(v *diagnose.Verdict) string {
	switch v.Where {
	case diagnose.WherePath:
		return places[v.Where]
	case diagnose.WhereBeyond:
		return "behind " + v.Host
	}
	return "seen on " + v.Host
}

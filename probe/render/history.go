package render

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/timeline"
)

// HistoryOptions say how much of a history is shown.
type HistoryOptions struct {
	Options
	// Periods is how many of each peer's latest are shown, all if it is 0.
	Periods int
	// Steady shows also the peers that have not failed; else they are counted.
	Steady bool
}

// History writes what became of peers over a time, those that fail first.
func History(w io.Writer, r *timeline.Report, o HistoryOptions) error {
	t := text{opt: &o.Options}
	t.put(bold, r.Interface)
	from := r.Since
	if r.Begin.After(from) {
		from = r.Begin
	}
	if r.Begin.IsZero() {
		t.put(plain, ": nothing is known")
		t.newline()
		return t.writeTo(w)
	}
	t.put(plain, fmt.Sprintf(": %s to %s", stamp(from, r.Until), stamp(r.Until, r.Until)))
	if r.Begin.After(r.Since) {
		t.put(dim, " (nothing older is known)")
	}
	t.newline()
	if r.Damaged > 0 {
		t.item(0, "!", probe.Count(r.Damaged, "line")+" of the history cannot be read: the disk was full, or the file was edited")
	}
	steady := 0
	for i := range r.Peers {
		if p := &r.Peers[i]; p.Failures > 0 || o.Steady {
			t.newline()
			t.historyOf(p, r, &o)
		} else {
			steady++
		}
	}
	if steady > 0 {
		t.newline()
		what := "peer"
		if len(r.Peers) > steady {
			what = "other peer"
		}
		t.put(plain, probe.Count(steady, what)+" did not fail")
		t.newline()
	}
	if len(r.Peers) == 0 {
		t.put(plain, "No peer had a session.")
		t.newline()
	}
	return t.writeTo(w)
}

func (t *text) historyOf(p *timeline.Peer, r *timeline.Report, o *HistoryOptions) {
	t.put(bold, cmp.Or(p.Name, t.opt.ShortKey(p.Peer.Base64())))
	if now := p.Now(); now != nil {
		t.put(plain, "  ")
		t.put(stateStyles[now.State], string(now.State))
		t.put(plain, " for "+long(now.Last(time.Time{}, r.Until)))
	}
	t.newline()
	if p.Failures > 0 {
		t.to(2)
		t.wrap(plain, failedText(p.Failures, p.Failing, p.Codes), 2, "")
	}
	periods := p.Periods
	if n := len(periods) - o.Periods; o.Periods > 0 && n > 0 {
		periods = periods[n:]
		t.to(2)
		t.put(dim, fmt.Sprintf("%s earlier, shown with -v", probe.Count(n, "period")))
		t.newline()
	}
	for i := range periods {
		q := &periods[i]
		t.to(2)
		t.put(plain, stamp(q.From, r.Until))
		t.to(20)
		length := long(q.Last(time.Time{}, r.Until))
		if q.Cut {
			length = t.opt.Choose("≤ ", "<= ") + length
		}
		t.put(plain, length)
		t.to(32)
		t.put(stateStyles[q.State], string(q.State))
		if q.State == diagnose.StateUp || q.State == diagnose.StateStale {
			t.newline()
			continue
		}
		t.to(41)
		why := string(q.Code)
		if q.Summary != "" {
			why += ": " + q.Summary
		}
		if !q.Certain {
			why += " (not certain)"
		}
		t.wrap(plain, why, 41, "")
	}
}

// failedText says how often a peer has failed, for how long, and why: "failed 3 times, 12m30s in
// all: no-response each time".
func failedText(failures int, failing time.Duration, why map[diagnose.Code]int) string {
	s := "failed " + times(failures)
	if failing > 0 {
		s += ", " + long(failing) + " in all"
	}
	codes := slices.SortedFunc(maps.Keys(why), func(x, y diagnose.Code) int {
		return cmp.Or(-cmp.Compare(why[x], why[y]), cmp.Compare(x, y))
	})
	switch {
	case len(codes) == 0:
		return s
	case len(codes) == 1 && failures == 1:
		return s + ": " + string(codes[0])
	case len(codes) == 1:
		return s + ": " + string(codes[0]) + " each time"
	}
	var each []string
	reasons := 0
	for _, c := range codes {
		each = append(each, string(c))
		reasons += why[c]
	}
	if reasons > failures { // a failure can change its reason: their counts would not add up
		last := len(each) - 1
		return s + ": " + strings.Join(each[:last], ", ") + " and " + each[last]
	}
	for i, c := range codes {
		each[i] += " " + times(why[c])
	}
	return s + ": " + strings.Join(each, ", ")
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// stamp is a time on the host's clock, with the year where it is another one.
func stamp(at, now time.Time) string {
	at = at.Local()
	if at.Year() != now.Local().Year() {
		return at.Format("2006-01-02 15:04")
	}
	return at.Format("Jan _2 15:04:05")
}

// long words a duration of up to days.
func long(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return probe.Brief(d)
}

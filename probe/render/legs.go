package render

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/legs"
)

// Ping writes what a series of probes told.
func Ping(w io.Writer, r *legs.Report, o Options) error {
	t := &text{opt: &o}
	t.heading(r.Interface, r.Target, keyText(r), r.PeerName)
	t.newline()
	if r.Size != nil {
		t.sizes(r.Size)
	}
	if r.Sent+r.Waiting > 0 {
		t.counts(&r.Counts)
	}
	for i := range r.Errors {
		said := &r.Errors[i]
		from := "this host"
		if said.From.IsValid() {
			from = said.From.String()
		}
		t.wrap(yellow, fmt.Sprintf("%s of %s: %s", from, probe.Count(said.Count, "probe"), said.Text), 2, "")
	}
	if r.RTT != nil || len(r.Legs) > 0 {
		t.legTable(r)
	}
	for _, remark := range r.Remarks {
		t.item(0, "-", remark)
	}
	return t.writeTo(w)
}

func keyText(r *legs.Report) string {
	if r.Peer.IsZero() {
		return ""
	}
	return r.Peer.Base64()
}

func (t *text) counts(c *legs.Counts) {
	style := plain
	switch {
	case c.Answered == 0:
		style = red
	case c.Loss > 0:
		style = yellow
	}
	line := fmt.Sprintf("%s sent, %d answered, %s lost", probe.Count(c.Sent, "probe"), c.Answered, percent(c.Loss))
	for _, more := range []struct {
		n    uint64
		text string
	}{
		{c.Refused, "by a refusal: no program listens there"}, {c.Late, "answered late"}, {c.Duplicates, "answered twice"},
		{c.Repeated, "answered only when sent again, and so lost"}, {c.Waiting, "still under way"},
	} {
		if more.n > 0 {
			line += fmt.Sprintf(", %d %s", more.n, more.text)
		}
	}
	t.wrap(style, line, 2, "")
}

// percent writes a part of 1. What is not all or nothing is never rounded to it.
func percent(part float64) string {
	p := part * 100
	switch {
	case p > 0 && p < 0.1:
		return "<0.1%"
	case p > 99.9 && p < 100:
		return ">99.9%"
	}
	return strconv.FormatFloat(float64(int(p*10+0.5))/10, 'f', -1, 64) + "%"
}

// columnWidth is that of a time in the table of legs.
const columnWidth = 9

func (t *text) legTable(r *legs.Report) {
	rows := make([][2]string, 0, len(r.Legs)+1)
	for i := range r.Legs {
		rows = append(rows, [2]string{r.Legs[i].From + t.arrow() + r.Legs[i].To, r.Legs[i].Text})
	}
	rows = append(rows, [2]string{"", "all of it"})
	first, second := 0, 0
	for _, row := range rows {
		first, second = max(first, columns(row[0])), max(second, columns(row[1]))
	}
	at := first + second + 4
	line := func(st eventtext.Style, row [2]string, lost string, times [4]string, end string) {
		t.put(st, row[0])
		t.to(first + 2)
		t.put(st, row[1])
		t.right(st, at+6, lost)
		for i, s := range times {
			t.right(st, at+6+(i+1)*columnWidth, s)
		}
		if end != "" {
			t.put(dim, " "+end)
		}
		t.newline()
	}
	line(dim, [2]string{"leg"}, "loss", [4]string{"least", "average", "most", "jitter"}, "ms")
	var dropped []string
	open := false
	for i := range r.Legs {
		l := &r.Legs[i]
		style, end := plain, ""
		if l.Lost > 0 {
			style = red
		}
		if l.Open > 0 {
			end, open = t.opt.Choose("±", "+-")+millis(l.Open), true
		}
		line(style, rows[i], percent(l.Loss), timesOf(l.RTT), end)
		for _, why := range slices.Sorted(maps.Keys(l.Dropped)) {
			dropped = append(dropped, droppedLeg(l, why))
		}
	}
	line(bold, rows[len(rows)-1], percent(r.Loss), timesOf(r.RTT), "")
	for _, d := range dropped {
		t.wrap(red, d, 2, "")
	}
	t.wrap(dim, "jitter: standard deviation, the mdev of ping", 2, "")
	if open {
		t.wrap(dim, t.opt.Choose("±", "+-")+": the clocks of the two hosts are known only so far; it is the same for all probes, "+
			"and what one of the two legs has less the other has more", 2, "")
	}
}

func droppedLeg(l *legs.Leg, why string) string {
	return "dropped at " + l.From + ": " + dropped(l.Dropped[why], why)
}

// right appends s so that it ends at a column.
func (t *text) right(st eventtext.Style, col int, s string) {
	t.to(col - columns(s))
	t.put(st, s)
}

func timesOf(m *legs.Times) [4]string {
	if m == nil {
		return [4]string{"-", "-", "-", "-"}
	}
	return [4]string{millis(m.Least), millis(m.Average), millis(m.Most), millis(m.Jitter)}
}

// millis writes nanoseconds as milliseconds.
func millis(ns int64) string { return strconv.FormatFloat(float64(ns)/1e6, 'f', 3, 64) }

func (t *text) sizes(s *legs.Sizes) {
	switch {
	case s.Largest == 0:
		t.wrap(red, "no size was found: "+s.Unknown, 2, "")
	case s.Unanswered == 0:
		t.wrap(plain, fmt.Sprintf("packets of %d bytes (ping -s %d) are answered: as large as the interface allows",
			s.Largest, s.Data), 2, "")
	default:
		t.wrap(yellow, fmt.Sprintf("packets of %d bytes (ping -s %d) are answered, of %d bytes not; the interface allows %d",
			s.Largest, s.Data, s.Unanswered, s.Limit), 2, "")
		if s.Unknown != "" {
			t.wrap(yellow, s.Unknown, 2, "")
		}
	}
	if s.Encrypted > 0 {
		t.wrap(plain, fmt.Sprintf("encrypted, packets of %d bytes are packets of %d bytes", s.Largest, s.Encrypted), 2, "")
	}
	for i := range s.Tried {
		try := &s.Tried[i]
		line := fmt.Sprintf("%d bytes: answered", try.Size)
		switch {
		case !try.Answered && !try.From.IsValid() && try.Said != "":
			line = fmt.Sprintf("%d bytes: not sent: this host says: %s", try.Size, try.Said)
		case !try.Answered:
			line = fmt.Sprintf("%d bytes: not answered, %s", try.Size, probe.Count(uint64(try.Packets), "packet"))
			if try.Said != "" {
				line += fmt.Sprintf("; %s says: %s", try.From, try.Said)
			}
		}
		t.item(2, "-", line)
	}
}

// PingLine writes one answer, and how long it took on each leg if that is known.
func PingLine(w io.Writer, line string, took []time.Duration, o Options) error {
	t := &text{opt: &o}
	t.put(plain, line)
	if len(took) == 4 {
		t.put(dim, fmt.Sprintf("  (out %s, tunnel %s, wire %s, in %s)",
			millis(int64(took[0])), millis(int64(took[1])), millis(int64(took[2])), millis(int64(took[3]))))
	}
	t.newline()
	return t.writeTo(w)
}

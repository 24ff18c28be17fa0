package flows

import (
	"cmp"
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// DefaultLog is how many events a log keeps: some 80 MB.
const DefaultLog = 1 << 19

// mostEvery is the coarsest that a log becomes. What is rare does not get less by it.
const mostEvery = 1 << 20

// Entry is an event of a log.
type Entry struct {
	probe.Event
	Kernel string // this host's kernel has dropped the packet, for this reason; "": it is an event of the tunnel
}

// Log keeps the events of a recording, up to a number: beyond that it keeps all events of one
// packet of two, of four and so on, and all that is rare, as a watch does that is told so. It is
// not safe for concurrent use.
type Log struct {
	limit   int
	every   uint64
	entries []Entry
	missing uint64
	sorted  bool
}

// NewLog returns an empty log; 0: DefaultLog.
func NewLog(limit int) *Log {
	if limit <= 0 {
		limit = DefaultLog
	}
	return &Log{limit: limit, every: 1}
}

// Add adds an event; kernel is as in [Entry].
func (l *Log) Add(e *probe.Event, kernel string) {
	if kernel == "" && !e.Sampled(l.every) {
		return
	}
	for len(l.entries) >= l.limit && l.every < mostEvery {
		l.every *= 2
		l.entries = slices.DeleteFunc(l.entries, func(e Entry) bool { return e.Kernel == "" && !e.Sampled(l.every) })
	}
	if len(l.entries) >= l.limit {
		l.missing++
		return
	}
	if n := len(l.entries); n > 0 && l.entries[n-1].Time > e.Time {
		l.sorted = false
	} else if n == 0 {
		l.sorted = true
	}
	if kernel == "" && !e.Sampled(l.every) {
		return
	}
	l.entries = append(l.entries, Entry{*e, kernel})
}

// Every says that the log has the events of one packet of so many, 1 if it has all.
func (l *Log) Every() uint64 { return l.every }

// Missing is how many events of others did not fit at the end.
func (l *Log) Missing() uint64 { return l.missing }

// Entries are what it holds in order of time, valid until the next Add.
func (l *Log) Entries() []Entry {
	if !l.sorted {
		slices.SortStableFunc(l.entries, func(a, b Entry) int { return cmp.Compare(a.Time, b.Time) })
		l.sorted = true
	}
	return l.entries
}

// Span is when its first and its last event were, in Unix nanoseconds; 0 if it has none.
func (l *Log) Span() (first, last int64) {
	all := l.Entries()
	if len(all) == 0 {
		return 0, 0
	}
	return all[0].Time, all[len(all)-1].Time
}

// Mark is what there is of one part of a time line.
type Mark struct {
	Packets    uint64 // that entered or left the tunnel
	Drops      uint64
	Handshakes uint64 // messages of them
}

// TimeLine divides the time from from to to, both included, into n parts.
func (l *Log) TimeLine(from, to int64, n int, match func(*Entry) bool) []Mark {
	marks := make([]Mark, max(n, 0))
	if n <= 0 || to < from {
		return marks
	}
	all := l.Entries()
	at, _ := slices.BinarySearchFunc(all, from, func(e Entry, at int64) int { return cmp.Compare(e.Time, at) })
	width := (float64(to) - float64(from) + 1) / float64(n) // times of a file may be anything
	for i := at; i < len(all) && all[i].Time <= to; i++ {
		e := &all[i]
		if match != nil && !match(e) {
			continue
		}
		m := &marks[min(max(int((float64(e.Time)-float64(from))/width), 0), n-1)]
		switch w := weight(&e.Event, l.every); {
		case e.Kernel != "":
			m.Drops++
		case e.Dropped():
			m.Drops += w
		case e.Kind == probe.KindInitiation, e.Kind == probe.KindResponse, e.Kind == probe.KindCookie:
			m.Handshakes += w
		case e.Kind == probe.KindInner && (e.Seam == probe.SeamTUNRead || e.Seam == probe.SeamTUNWrite):
			m.Packets += w
		}
	}
	return marks
}

// Replay is a table as of some time of a log.
type Replay struct {
	log   *Log
	match func(*Entry) bool
	table *Table
	next  int // entry that is to be counted next
}

// Replay returns one before the log's first event. match, if not nil, selects events.
func (l *Log) Replay(o Options, match func(*Entry) bool) *Replay {
	o.Every = l.every
	return &Replay{log: l, match: match, table: New(o)}
}

// To has the table hold what was up to a time, in Unix nanoseconds, and reports whether that
// changed anything. Backwards it begins anew.
func (r *Replay) To(at int64) bool {
	all := r.log.Entries()
	changed := false
	if r.next > 0 && all[r.next-1].Time > at {
		r.table.Reset()
		r.next, changed = 0, true
	}
	for ; r.next < len(all) && all[r.next].Time <= at; r.next++ {
		e := &all[r.next]
		if r.match != nil && !r.match(e) {
			continue
		}
		changed = true
		if e.Kernel != "" {
			r.table.Drop(&e.Event, e.Kernel)
		} else {
			r.table.Event(&e.Event)
		}
	}
	return changed
}

// Table is the table as of the time of the latest To.
func (r *Replay) Table() *Table { return r.table }

package timeline

import (
	"cmp"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// Period is a time for which a peer was in one state for one reason.
type Period struct {
	From time.Time `json:"from"`
	// To is when it ended; zero if it lasts.
	To time.Time `json:"to,omitzero"`
	// Cut: it ended before To, at a time that is not known, because the node was killed.
	Cut        bool           `json:"cut,omitempty"`
	State      diagnose.State `json:"state"`
	Code       diagnose.Code  `json:"code"`
	Checkpoint string         `json:"checkpoint,omitempty"`
	Certain    bool           `json:"certain,omitempty"`
	Summary    string         `json:"summary,omitempty"`
}

// Last is how long the period has lasted at now, within what is since a time.
func (p *Period) Last(since, now time.Time) time.Duration {
	from, to := p.From, p.To
	if to.IsZero() {
		to = now
	}
	if from.Before(since) {
		from = since
	}
	return max(to.Sub(from), 0)
}

// Peer is what became of one peer.
type Peer struct {
	Peer key.Public `json:"peer"`
	Name string     `json:"peer_name,omitempty"`
	// Failures is how often it began to fail, and Failing for how long it did so in all.
	Failures int           `json:"failures"`
	Failing  time.Duration `json:"failing_ns"`
	// Codes is how often each code was why.
	Codes map[diagnose.Code]int `json:"codes,omitempty"`
	// Periods are in order of time, the latest last.
	Periods []Period `json:"periods"`
}

// Now is the state that lasts, nil if none does: the node is down, or the peer was removed.
func (p *Peer) Now() *Period {
	if n := len(p.Periods); n > 0 && p.Periods[n-1].To.IsZero() {
		return &p.Periods[n-1]
	}
	return nil
}

// Timeline is what became of the peers since a time, up to now: those that fail first, then those
// that failed most often, then by name. Begin is since when something is known; it is zero if
// nothing is.
func (all *Lines) Timeline(since, now time.Time) (peers []Peer, begin time.Time) {
	b := builder{peers: make(map[key.Public]*Peer)}
	for i := range all.Lines {
		b.add(&all.Lines[i])
	}
	if len(all.Lines) > 0 {
		begin = all.Lines[0].At
	}
	for _, p := range b.peers {
		if p.within(since, now); len(p.Periods) > 0 {
			peers = append(peers, *p)
		}
	}
	slices.SortFunc(peers, func(x, y Peer) int {
		return cmp.Or(-cmp.Compare(x.failsNow(), y.failsNow()), -cmp.Compare(x.Failures, y.Failures),
			-cmp.Compare(x.Failing, y.Failing), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Peer.Base64(), y.Peer.Base64()))
	})
	return peers, begin
}

func (p *Peer) failsNow() int {
	if last := p.Now(); last != nil && fails(last.State) {
		return 1
	}
	return 0
}

func fails(s diagnose.State) bool { return s == diagnose.StateFailing || s == diagnose.StateDegraded }

// builder makes periods of lines.
type builder struct {
	peers map[key.Public]*Peer
}

func (b *builder) add(l *Line) {
	switch l.What {
	case Started: // nothing lasts beyond the process; one that stopped has said so
		b.end(l.At, true)
	case Stopped:
		b.end(l.At, false)
	case Removed:
		if p := b.peers[l.Peer]; p != nil {
			p.end(l.At, false)
		}
	case Changed:
		p := b.peers[l.Peer]
		if p == nil {
			p = &Peer{Peer: l.Peer}
			b.peers[l.Peer] = p
		}
		if l.Name != "" {
			p.Name = l.Name
		}
		if last := p.Now(); last != nil && last.From.Equal(l.At) && last.State == l.State && last.Code == l.Code {
			return // said anew in the next file
		}
		p.end(l.At, false)
		p.Periods = append(p.Periods, Period{From: l.At, State: l.State, Code: l.Code, Checkpoint: l.Checkpoint,
			Certain: l.Certain, Summary: l.Summary})
	}
}

func (b *builder) end(at time.Time, cut bool) {
	for _, p := range b.peers {
		p.end(at, cut)
	}
}

// end ends the period that lasts. A clock that was set back makes no period negative.
func (p *Peer) end(at time.Time, cut bool) {
	last := p.Now()
	if last == nil {
		return
	}
	if at.Before(last.From) {
		at = last.From
	}
	last.To, last.Cut = at, cut
}

// within leaves the periods since a time, and counts what failed. Failing for another reason, or
// with another certainty, is the same failure.
func (p *Peer) within(since, now time.Time) {
	p.Periods = slices.DeleteFunc(p.Periods, func(q Period) bool { return !q.To.IsZero() && !q.To.After(since) })
	p.Codes = make(map[diagnose.Code]int)
	for i := range p.Periods {
		q := &p.Periods[i]
		if !fails(q.State) {
			continue
		}
		p.Failing += q.Last(since, now)
		before := Period{}
		if i > 0 {
			before = p.Periods[i-1]
		}
		if !fails(before.State) || !before.To.Equal(q.From) {
			p.Failures++
		}
		if before.Code != q.Code || !before.To.Equal(q.From) {
			p.Codes[q.Code]++
		}
	}
}

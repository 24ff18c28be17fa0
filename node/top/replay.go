package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/recording"
)

// File is a recording as of any time in it. It is a [Source] and a [Player].
type File struct {
	failures
	path    string
	log     *flows.Log
	replay  *flows.Replay
	tunnel  *Tunnel
	peers   []recording.Peer
	first   int64
	last    int64
	at      int64
	want    Want
	match   func(*flows.Entry) bool // of the filter, nil: all
	line    []flows.Mark            // of the time line, of so many parts, for the filter
	version atomic.Uint64

	// Notes are what the recording lacks.
	Notes []string

	mu      sync.Mutex
	judging bool          // guarded by mu, as what follows
	judged  chan struct{} // closed when nothing is being judged
	wanted  int64         // the time that verdicts are wanted of
	sort    overview.Request
	closed  chan struct{}
}

// OpenRecording reads a recording. Close must be called in the end.
func OpenRecording(path string) (*File, error) {
	r, err := recording.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f := &File{failures: make(failures, 1), path: path, log: flows.NewLog(0), closed: make(chan struct{})}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		kernel := ""
		if p.Drop != nil {
			kernel = p.Drop.Reason
		}
		f.log.Add(&p.Event, kernel)
	}
	f.notes(r)
	m := r.Meta()
	f.peers = m.Peers
	f.tunnel = newTunnel(m.Interface)
	for i := range m.Peers {
		f.tunnel.names[m.Peers[i].ID] = peerName{m.Peers[i].PublicKey, m.Peers[i].Name}
	}
	if f.first, f.last = f.log.Span(); f.first == 0 && f.last == 0 {
		f.first = m.Clock.Started.UnixNano()
		f.last = f.first
	}
	f.tunnel.Every = f.log.Every()
	f.begin()
	f.To(f.last)
	return f, nil
}

// notes says what is missing.
func (f *File) notes(r *recording.File) {
	if n := r.Loss().Events; n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d events are missing: they came faster than they could be written", n))
	}
	if n := f.log.Missing(); n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d events are not shown: there are too many", n))
	}
	if n := f.log.Every(); n > 1 {
		f.Notes = append(f.Notes, fmt.Sprintf("one packet of %d is shown, with what is rare: numbers are estimates", n))
	}
	if !r.Complete() {
		f.Notes = append(f.Notes, "the recording has no end: it was cut off, or is still being written")
	}
}

// paceOf is that of a recording's series: seconds, or less for a short one.
func paceOf(first, last int64) flows.Pace {
	p := flows.Pace{Interval: time.Second, Kept: 60}
	if span := time.Duration(last - first); span > 0 && span < 30*time.Second {
		p.Interval = max(span/30, time.Millisecond)
	}
	return p
}

// begin has the table begin anew, with the filter.
func (f *File) begin() {
	f.replay = f.log.Replay(flows.Options{Pace: paceOf(f.first, f.last)}, f.match)
	f.line = nil
	f.tunnel.Mu.Lock()
	f.tunnel.Flows = f.replay.Table()
	f.tunnel.Mu.Unlock()
}

// Tunnels implements [Source].
func (f *File) Tunnels() []*Tunnel { return []*Tunnel{f.tunnel} }

// Version implements [Source].
func (f *File) Version() uint64 { return f.version.Load() }

// Want implements [Source].
func (f *File) Want(w Want) {
	was := f.want
	f.want = w
	if fmt.Sprint(was.Filter) != fmt.Sprint(w.Filter) {
		var err error
		f.tunnel.FilterError = ""
		if f.match, err = matcher(w.Filter, f.peers); err != nil {
			f.tunnel.FilterError = err.Error()
		}
		f.begin()
		f.To(f.at)
	}
	f.mu.Lock()
	f.sort = overview.Request{Peer: w.Peer, Sort: w.Sort, Limit: w.Limit}
	f.mu.Unlock()
	if was.Peer != w.Peer || was.Sort != w.Sort || was.Limit < w.Limit {
		f.judge(f.at)
	}
}

// Span implements [Player].
func (f *File) Span() (first, last int64) { return f.first, f.last }

// At implements [Player].
func (f *File) At() int64 { return f.at }

// To implements [Player].
func (f *File) To(at int64) {
	f.at = at
	f.tunnel.Mu.Lock()
	f.replay.To(at)
	f.tunnel.Mu.Unlock()
	f.version.Add(1)
	f.judge(at)
}

// TimeLine implements [Player].
func (f *File) TimeLine(parts int) []flows.Mark {
	if len(f.line) != parts {
		f.line = f.log.TimeLine(f.first, f.last, parts, f.match)
	}
	return f.line
}

// Explain implements [Source]: as "wgnode explain -r" does.
func (f *File) Explain(_ context.Context, _ string, req explain.Request) (*diagnose.Report, error) {
	r, err := recording.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return explain.ExplainRecording(r.Reader, req)
}

// judge has the verdicts found out of a time. The latest that is wanted counts.
func (f *File) judge(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = at
	if f.judging || f.isClosed() {
		return
	}
	f.judging, f.judged = true, make(chan struct{})
	go f.judgeAll(f.judged)
}

// judgeAll finds out verdicts until those that are wanted are there. It rests in between, since
// the recording is read for each.
func (f *File) judgeAll(done chan struct{}) {
	defer close(done)
	defer f.catch()
	for {
		f.mu.Lock()
		at, req := f.wanted, f.sort
		f.mu.Unlock()
		began := time.Now()
		state, err := f.stateAt(at, &req)
		took := time.Since(began)
		f.tunnel.Mu.Lock()
		if err != nil {
			f.tunnel.Problem = err.Error()
		} else {
			f.tunnel.State, f.tunnel.At, f.tunnel.Problem = state, time.Unix(0, at), ""
		}
		f.tunnel.Mu.Unlock()
		f.version.Add(1)
		f.mu.Lock()
		if f.wanted == at && sameRequest(f.sort, req) || f.isClosed() {
			f.judging = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		rest := time.NewTimer(min(took*pollShare, 2*time.Second))
		select {
		case <-rest.C:
		case <-f.closed:
		}
		rest.Stop()
	}
}

func sameRequest(a, b overview.Request) bool {
	return a.Peer == b.Peer && a.Sort == b.Sort && a.Limit == b.Limit
}

// Settle returns when the verdicts are those of the time that is looked at.
func (f *File) Settle() {
	f.mu.Lock()
	judged := f.judged
	f.mu.Unlock()
	if judged != nil {
		<-judged
	}
}

// Close ends what is under way.
func (f *File) Close() {
	close(f.closed)
	f.Settle()
}

func (f *File) isClosed() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// stateAt is what a doctor says at a time.
func (f *File) stateAt(at int64, req *overview.Request) (*overview.Tunnel, error) {
	r, err := recording.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := r.Meta()
	report, err := explain.DoctorRecordingAt(r.Reader, time.Unix(0, at))
	if err != nil {
		return nil, err
	}
	report.Interface = m.Interface
	t := overview.OfReport(report, time.Unix(0, at), req)
	t.PublicKey, t.ListenPort, t.Netstack = m.PublicKey, m.ListenPort, !m.Kernel && !m.Level.Kernel()
	known := make(map[key.Public]*recording.Peer, len(m.Peers))
	for i := range m.Peers {
		known[m.Peers[i].PublicKey] = &m.Peers[i]
	}
	for i := range t.Peers {
		if p := known[t.Peers[i].PublicKey]; p != nil {
			t.Peers[i].AllowedIPs = p.AllowedIPs
		}
	}
	return t, nil
}

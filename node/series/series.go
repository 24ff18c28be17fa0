package series

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wgnode/wgnode/node/bothends"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/ping"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/legs"
)

const (
	// tagsWait is how long the events of a probe may come after its answer: what a
	// subscription holds back, and some.
	tagsWait = 500 * time.Millisecond
	// pingsKept is how long a probe is remembered beyond its time.
	pingsKept = 2 * time.Second
)

// Options say what is to be done.
type Options struct {
	Interface string // the tunnel's
	Client    *control.Client
	Status    *control.Status // of the tunnel, as it was just now
	Request   ping.Request
	// CountAfterSizes is how many probes follow a search for the largest packet, if the request
	// has no count.
	CountAfterSizes uint64
	Far             *bothends.Far // the other end, which records meanwhile; nil to hear this one alone
	// Line prints an answer once its legs are known; they are nil if they are not to be told. nil
	// prints none.
	Line func(text string, legs []time.Duration) error
	// Searching says that the largest packet is looked for, until what it returns is called.
	Searching func() (done func())
}

// Run sends the probes until ctx ends or all of them are answered or lost. What is known by then
// is reported, also if ctx has ended.
func Run(ctx context.Context, o Options) (*legs.Report, error) {
	p := &pinger{o: o, req: o.Request,
		report: &legs.Report{Interface: o.Interface, Target: probe.FlowText(o.Request.Target, o.Request.UDP)}}
	if err := p.whole(ctx); err != nil {
		return nil, err
	}
	return p.sum(), nil
}

// pinger is one run. Only its loop touches it.
type pinger struct {
	o       Options
	req     ping.Request
	tracker *legs.Tracker
	peer    probe.PeerID
	report  *legs.Report // what is known beside the tracker
	size    *legs.Sizes
	lines   []answerLine
	near    *messages // with another host only
	fatal   error
}

// answerLine is an answer that is to be printed, once its events have come, or at due.
type answerLine struct {
	number uint64
	text   string
	plain  bool // it has no legs to wait for
	due    time.Time
}

// tagged is an event, and who its peer is.
type tagged struct {
	event probe.Event
	key   key.Public
	name  string
}

// whole does all of it: the sizes if they are asked for, and the series.
func (p *pinger) whole(ctx context.Context) error {
	var far *farEnd
	if p.o.Far != nil {
		var err error
		if far, err = p.hear(ctx); err != nil {
			return err
		}
		defer far.drop()
		p.near = newMessages()
	}
	if p.req.Sizes {
		if err := p.findSize(ctx); err != nil || p.size.Largest == 0 || ctx.Err() != nil {
			return err
		}
		p.req.Sizes, p.req.Data = false, p.size.Data
		if p.req.Count == 0 {
			p.req.Count = p.o.CountAfterSizes
		}
	}
	if err := p.series(ctx); err != nil {
		return err
	}
	if far != nil {
		return far.join(p)
	}
	return nil
}

// findSize finds the largest packet that is answered.
func (p *pinger) findSize(ctx context.Context) error {
	if !p.o.Status.Netstack {
		l, err := net.InterfaceByName(p.o.Interface)
		if err != nil {
			return fmt.Errorf("the MTU of %s: %w", p.o.Interface, err)
		}
		p.req.Limit = l.MTU
	}
	p.size = &legs.Sizes{Limit: p.req.Limit, Tried: []legs.SizeTry{}}
	done := p.o.Searching()
	err := p.series(ctx)
	done()
	for _, try := range p.size.Tried {
		switch {
		case try.Answered:
			p.size.Largest = max(p.size.Largest, try.Size)
		case p.size.Unanswered == 0 || try.Size < p.size.Unanswered:
			p.size.Unanswered = try.Size
		}
	}
	head := ping.Headers(p.req.Target.Addr().Is6())
	p.size.Data, p.size.Encrypted = max(p.size.Largest-head, 0), p.tracker.Encrypted(p.size.Largest)
	p.report.Size = p.size
	if p.size.Largest == 0 && p.size.Unknown == "" {
		p.size.Unknown = "it was broken off"
	}
	return err
}

// series runs one, with the tunnel's events beside it.
func (p *pinger) series(ctx context.Context) error {
	p.tracker = legs.Track(legs.Series{Target: p.req.Target, UDP: p.req.UDP, Keep: p.o.Far != nil, Level: p.o.Status.Level})
	watching, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer endWatch()
	w := &seriesWatch{events: make(chan tagged, 1024), begun: make(chan struct{}), over: make(chan struct{})}
	defer close(w.over)
	type watched struct {
		lost uint64
		err  error
	}
	watch := make(chan watched, 1)
	go func() {
		lost, err := p.o.Client.Watch(watching, control.WatchRequest{Filter: p.filter(), Every: 1}, w)
		close(w.events)
		watch <- watched{lost, err}
	}()
	select {
	case <-w.begun:
	case r := <-watch:
		return errors.Join(errors.New("watch the tunnel"), r.err)
	case <-ctx.Done():
		return nil
	}
	samples, ran := make(chan ping.Sample, 256), make(chan error, 1)
	send := func(m ping.Sample) error {
		samples <- m
		return nil
	}
	sending, endSending := context.WithCancel(ctx)
	defer endSending()
	go func() {
		if p.o.Status.Netstack {
			ran <- p.o.Client.Ping(sending, p.req, send)
		} else {
			ran <- ping.Run(sending, ping.Host{}, p.req, send)
		}
		close(samples)
	}()
	p.loop(samples, w.events, endSending, endWatch)
	err := errors.Join(p.fatal, <-ran)
	if ctx.Err() != nil {
		p.tracker.Cut(time.Now().Add(-p.req.Wait))
	}
	if r := <-watch; r.lost > 0 {
		p.report.Remarks = append(p.report.Remarks, eventtext.MissingEvents(r.lost, "heard of")+": the legs' losses may be wrong by that")
	}
	return err
}

// filter is what the node is to tell of.
func (p *pinger) filter() []string {
	words := []string{"host", p.req.Target.Addr().WithZone("").String(), "proto"}
	switch {
	case p.req.Target.Port() == 0:
		return append(words, "icmp,icmp6")
	case p.req.UDP:
		return append(words, "udp,icmp,icmp6")
	}
	return append(words, "tcp,icmp,icmp6")
}

// loop takes samples and events until the series is over and its events have come: whoever is
// watched tells at the end what is left of them.
func (p *pinger) loop(samples <-chan ping.Sample, events <-chan tagged, stop, endWatch func()) {
	tick := time.NewTicker(tagsWait / 5)
	defer tick.Stop()
	var end <-chan time.Time
	for samples != nil || events != nil {
		select {
		case m, ok := <-samples:
			if !ok {
				samples, end = nil, time.After(tagsWait)
				break
			}
			p.sample(&m)
		case e, ok := <-events:
			if !ok {
				events = nil
				break
			}
			// What is told before a packet leaves comes before what the tunnel tells of it.
			for waiting := true; waiting && samples != nil; {
				select {
				case m, ok := <-samples:
					if !ok {
						samples, end = nil, time.After(tagsWait)
						break
					}
					p.sample(&m)
				default:
					waiting = false
				}
			}
			p.event(&e)
		case <-tick.C:
			p.tracker.Settle(time.Now().Add(-2*p.req.Wait - pingsKept))
		case <-end:
			endWatch()
		}
		p.flush(time.Now())
		if samples == nil && p.tracker.Complete() {
			endWatch()
		}
		if p.fatal != nil {
			stop()
		}
	}
	p.flush(time.Time{})
}

func (p *pinger) event(e *tagged) {
	if p.near != nil {
		p.near.add(&e.event)
	}
	if _, ours := p.tracker.Event(&e.event, false); ours && e.event.Peer != 0 && p.peer == 0 {
		p.peer, p.report.Peer, p.report.PeerName = e.event.Peer, e.key, e.name
	}
}

// sample takes what has happened to a probe.
func (p *pinger) sample(m *ping.Sample) {
	t, from := p.tracker, m.From
	switch m.What {
	case ping.Began:
		t.SetID(m.Key)
	case ping.Sending:
		t.Sent(m.Number, m.Key, time.Now())
	case ping.Sent:
		t.SentAt(m.Number, m.At)
	case ping.Answered:
		t.Answered(m.Number, m.At, m.Took, m.Refused)
		what := fmt.Sprintf("%d bytes from %s", m.Bytes, from)
		switch {
		case m.Refused:
			what = "refused by " + p.report.Target
		case p.req.Target.Port() != 0 && !p.req.UDP:
			what = "connected to " + p.report.Target
		}
		p.say(m, what, false)
	case ping.Late:
		t.Late(m.Number, m.At)
		p.say(m, "late answer from "+from.String(), true)
	case ping.Duplicate:
		t.Duplicate()
		p.say(m, "another answer from "+from.String(), true)
	case ping.Repeated:
		t.Repeated()
		p.say(m, "connected when sent again", true)
	case ping.Said:
		t.Said(from, m.Text)
		who := "this host"
		if from.IsValid() {
			who = from.String()
		}
		p.lines = append(p.lines, answerLine{m.Number, fmt.Sprintf("%s: seq=%d %s", who, m.Number, m.Text), true, time.Now()})
	case ping.Tried:
		if m.Size != nil {
			p.size.Tried = append(p.size.Tried, *m.Size)
		}
	case ping.Searched:
		p.size.Unknown = m.Text
	}
}

func (p *pinger) say(m *ping.Sample, what string, plain bool) {
	plain = plain || p.o.Status.Level == probe.LevelHalf || p.o.Status.Level == probe.LevelCapture // its legs are not all told
	text := fmt.Sprintf("%s: seq=%d time=%.3f ms", what, m.Number, float64(m.Took)/1e6)
	p.lines = append(p.lines, answerLine{m.Number, text, plain, time.Now().Add(tagsWait)})
}

// flush tells of the answers whose events have come, or whose time has; all of them for no time.
func (p *pinger) flush(now time.Time) {
	for len(p.lines) > 0 {
		l := &p.lines[0]
		took, known := p.tracker.Took(l.number)
		if !known && !l.plain && !now.IsZero() && now.Before(l.due) {
			return
		}
		if p.o.Line != nil && p.fatal == nil {
			var legs []time.Duration
			if known && !l.plain {
				legs = took[:]
			}
			p.fatal = p.o.Line(l.text, legs)
		}
		p.lines = p.lines[1:]
	}
}

// sum is what came of it.
func (p *pinger) sum() *legs.Report {
	r := p.report
	t := p.tracker.Report()
	t.Interface, t.Target, t.Peer, t.PeerName, t.Size = r.Interface, r.Target, r.Peer, r.PeerName, r.Size
	t.Remarks = append(t.Remarks, r.Remarks...)
	return t
}

// seriesWatch hands events on.
type seriesWatch struct {
	events chan tagged
	begun  chan struct{}
	over   chan struct{} // closed when nobody takes them any more
}

// Begin implements control.Watcher.
func (w *seriesWatch) Begin(int) error { close(w.begun); return nil }

// Event implements control.Watcher.
func (w *seriesWatch) Event(e *probe.Event, names eventtext.Names) error {
	t := tagged{event: *e}
	if names != nil {
		t.key, t.name, _ = names.Peer(e.Peer)
	}
	select {
	case w.events <- t:
	case <-w.over:
	}
	return nil
}

// Line implements control.Watcher.
func (w *seriesWatch) Line([]byte) error {
	return errors.New("the node is of an earlier release: bring it up again with this one")
}

// Flush implements control.Watcher.
func (w *seriesWatch) Flush() error { return nil }

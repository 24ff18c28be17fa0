package top

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/recording"
)

// Client is what is asked of a tunnel; [control.Client] is one.
type Client interface {
	Overview(ctx context.Context, req overview.Request) (*overview.Tunnel, error)
	Watch(ctx context.Context, req control.WatchRequest, into control.Watcher) (lost uint64, err error)
	Explain(ctx context.Context, req explain.Request) (*diagnose.Report, error)
	Record(ctx context.Context, req control.RecordRequest, into control.Recording) (recording.Loss, error)
}

// LiveOptions say which tunnels are looked at, and how they are reached.
type LiveOptions struct {
	// List are the names of the tunnels that there are; they are asked for again and again.
	List func() []string
	// Dial connects to one. What it begins for that ends with ctx.
	Dial func(ctx context.Context, name string) (Client, error)
	// Folder is where recordings are put.
	Folder string
}

const (
	// pollEvery is how often a tunnel is asked, at most. It is asked less often where an answer takes
	// more than a part of that, as of ten thousand peers on a busy host, and then each pollMost.
	pollEvery = time.Second
	pollMost  = 5 * time.Second
	pollShare = 20
	// answerTime is how long an answer may take.
	answerTime = 10 * time.Second
	// againAfter is when a tunnel that is not there is looked for again.
	againAfter = time.Second
	// listEvery is how often it is looked which tunnels there are.
	listEvery = 2 * time.Second
)

// Live is the tunnels of this host as they are.
type Live struct {
	failures
	opt     LiveOptions
	version atomic.Uint64
	running sync.WaitGroup

	mu      sync.Mutex
	tunnels []*liveTunnel // by name
	want    Want
	changed chan struct{} // closed when want changes
}

// liveTunnel is a tunnel and how it is reached.
type liveTunnel struct {
	*Tunnel
	client  Client  // nil while there is none; guarded by Tunnel.Mu
	watched watched // of how many packets one is; guarded by Live.mu
	counted watched // events by the latest poll
}

// NewLive looks at tunnels until ctx ends; Wait then waits for what it began.
func NewLive(ctx context.Context, o LiveOptions) *Live {
	l := &Live{failures: make(failures, 1), opt: o, changed: make(chan struct{}), want: Want{Limit: fewPeers}}
	l.meet(ctx)
	l.running.Go(func() {
		defer l.catch()
		tick := time.NewTicker(listEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.meet(ctx)
			}
		}
	})
	return l
}

// Wait returns when everything has ended that was begun.
func (l *Live) Wait() { l.running.Wait() }

// meet looks at tunnels that are new.
func (l *Live) meet(ctx context.Context) {
	names := l.opt.List()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		at, known := slices.BinarySearchFunc(l.tunnels, name, func(t *liveTunnel, name string) int { return strings.Compare(t.Name, name) })
		if known {
			continue
		}
		t := &liveTunnel{Tunnel: newTunnel(name), watched: watched{1, 1}}
		l.tunnels = slices.Insert(l.tunnels, at, t)
		l.running.Go(func() { defer l.catch(); l.follow(ctx, t) })
		l.version.Add(1)
	}
}

// Tunnels implements [Source].
func (l *Live) Tunnels() []*Tunnel {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*Tunnel, len(l.tunnels))
	for i, t := range l.tunnels {
		list[i] = t.Tunnel
	}
	return list
}

// Version implements [Source].
func (l *Live) Version() uint64 { return l.version.Load() }

// Want implements [Source].
func (l *Live) Want(w Want) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = w
	l.tell()
}

// tell wakes those who wait for a change of what is wanted.
func (l *Live) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// wanted is what is wanted, and a channel that is closed when that changes.
func (l *Live) wanted() (Want, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want, l.changed
}

// follow looks at a tunnel whenever it is there.
func (l *Live) follow(ctx context.Context, t *liveTunnel) {
	seen := false
	for ctx.Err() == nil {
		err := l.once(ctx, t, &seen)
		if ctx.Err() != nil {
			return
		}
		t.Mu.Lock()
		t.client, t.State, t.before = nil, nil, nil
		t.Problem = problemOf(err, seen)
		t.Mu.Unlock()
		l.version.Add(1)
		pause(ctx, againAfter)
	}
}

// problemOf words why a tunnel is not looked at.
func problemOf(err error, seen bool) string {
	switch {
	case seen && (errors.Is(err, control.ErrEnded) || errors.Is(err, rundir.ErrNotRunning)):
		return "it went down; waiting for it"
	case err == nil:
		return "it is not there; waiting for it"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first + "; waiting for it"
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// once looks at a tunnel until it is gone, and returns why it cannot be looked at any more.
func (l *Live) once(ctx context.Context, t *liveTunnel, seen *bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := l.opt.Dial(ctx, t.Name)
	if err != nil {
		return err
	}
	t.Mu.Lock()
	t.client = c
	t.Mu.Unlock()
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel(nil)
	watches.Go(func() { defer l.catch(); cancel(l.watch(ctx, c, t)) })
	watches.Go(func() { defer l.catch(); cancel(l.watchFlow(ctx, c, t)) })
	for {
		w, changed := l.wanted()
		took, err := l.poll(ctx, c, t, &w)
		if err != nil {
			return firstCause(ctx, err)
		}
		*seen = true
		l.adapt(t)
		next := time.NewTimer(max(pollEvery, min(took*pollShare, pollMost)))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				next.Stop()
				return context.Cause(ctx)
			case <-next.C:
				waiting = false
			case <-changed:
				var now Want
				now, changed = l.wanted()
				waiting = now.Sort == w.Sort && now.Limit <= w.Limit && now.Peer == w.Peer
			}
		}
		next.Stop()
	}
}

// firstCause is why a context ended, if that is why something failed.
func firstCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// poll asks for the overview.
func (l *Live) poll(ctx context.Context, c Client, t *liveTunnel, w *Want) (took time.Duration, err error) {
	began := time.Now()
	actx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	state, err := c.Overview(actx, overview.Request{Peer: w.Peer, Sort: w.Sort, Limit: w.Limit})
	took = time.Since(began)
	if err != nil {
		if ctx.Err() == nil && actx.Err() != nil {
			err = fmt.Errorf("it does not answer within %s", answerTime)
		}
		return took, err
	}
	t.Mu.Lock()
	t.set(state, time.Now())
	t.Mu.Unlock()
	l.version.Add(1)
	return took, nil
}

// Explain implements [Source].
func (l *Live) Explain(ctx context.Context, tunnel string, req explain.Request) (*diagnose.Report, error) {
	c, err := l.clientOf(tunnel)
	if err != nil {
		return nil, err
	}
	return c.Explain(ctx, req)
}

func (l *Live) clientOf(tunnel string) (Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tunnels {
		if t.Name != tunnel {
			continue
		}
		t.Mu.Lock()
		c := t.client
		t.Mu.Unlock()
		if c != nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s is not there now", tunnel)
}

// Record implements [Recorder].
func (l *Live) Record(tunnel string, filter []string) (*Recording, error) {
	c, err := l.clientOf(tunnel)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.opt.Folder, fmt.Sprintf("wgnode-%s-%s.pcapng", tunnel, time.Now().Format("20060102-150405")))
	out, err := recording.Create(file, recording.OutputOptions{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var said string
	go func() {
		defer close(done)
		defer l.catch()
		lost, err := c.Record(ctx, control.RecordRequest{Filter: filter, Snaplen: recording.Headers}, out)
		said = endRecording(out, file, lost, err)
	}()
	return &Recording{Tunnel: tunnel, Done: done,
		Progress: func() string { return probe.Count(out.Packets(), "packet") + " in " + file },
		Stop: func() string {
			cancel()
			<-done
			return said
		}}, nil
}

// endRecording completes a file, and says what became of it.
func endRecording(out *recording.Output, file string, lost recording.Loss, err error) string {
	if err != nil && !errors.Is(err, control.ErrEnded) {
		return fmt.Sprintf("record: %v", errors.Join(err, out.Abort()))
	}
	if err := out.Close(lost); err != nil {
		return fmt.Sprintf("record: %v", err)
	}
	said := fmt.Sprintf("recorded %s in %s", probe.Count(out.Packets(), "packet"), file)
	if lost.Events > 0 {
		said += fmt.Sprintf("; %d events are missing: they came too fast", lost.Events)
	}
	return said
}

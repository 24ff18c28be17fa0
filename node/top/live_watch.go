package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/flows"
)

// What is taken of events. More than budget in a slice of time has to wait: what comes faster
// is then lost at the node, which counts it, and costs neither it nor this host much. More than
// many a second, and fewer packets are asked for; less than few, and more are.
const (
	slice  = 200 * time.Millisecond
	budget = 100

	many      = 400
	few       = 25
	coarser   = 8
	mostEvery = 1 << 12

	// chosenFor is how long a flow has to be chosen until it is looked at in full: who goes through
	// a list looks at none.
	chosenFor = 300 * time.Millisecond
)

// adapt has as many packets looked at as can be, and as many of the flow that is chosen. It is called
// after each poll.
func (l *Live) adapt(t *liveTunnel) {
	t.Mu.Lock()
	n, full := t.Flows.Events(), uint64(0)
	if t.Full != nil {
		full = t.Full.Events()
	}
	t.Mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := watched{all: adapted(t.watched.all, n-min(t.counted.all, n)), flow: adapted(t.watched.flow, full-min(t.counted.flow, full))}
	t.counted = watched{n, full}
	if now != t.watched {
		t.watched = now
		l.tell()
	}
}

// adapted is of how many packets one is to be watched, where that of so many gave so many events in a
// second.
func adapted(every, came uint64) uint64 {
	switch {
	case came > many && every < mostEvery:
		return every * coarser
	case came < few && every > 1:
		return max(every/coarser, 1)
	}
	return every
}

// watched is a number for the watch of a tunnel, and one for that of the flow that is chosen.
type watched struct{ all, flow uint64 }

// everyOf is which packets of a tunnel are to be watched.
func (l *Live) everyOf(t *liveTunnel) watched {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.watched
}

// watch counts the tunnel's events, as the filter wants and as many as can be.
func (l *Live) watch(ctx context.Context, c Client, t *liveTunnel) error {
	var before []string
	for ctx.Err() == nil {
		w, changed := l.wanted()
		every := l.everyOf(t).all
		t.Mu.Lock()
		if !slices.Equal(before, w.Filter) {
			t.Flows.Reset()
			before = w.Filter
		}
		t.Every, t.FilterError = every, ""
		t.Flows.SetEvery(every)
		t.Mu.Unlock()
		l.version.Add(1)
		same := func(now Want) bool { return slices.Equal(now.Filter, w.Filter) && l.everyOf(t).all == every }
		err := l.until(ctx, changed, same, func(ctx context.Context) error {
			lost, err := c.Watch(ctx, control.WatchRequest{Filter: w.Filter, Every: uint(every)}, &taker{l: l, t: t.Tunnel, into: t.Flows})
			t.Mu.Lock()
			t.Lost += lost
			t.Mu.Unlock()
			return err
		})
		if err == nil || ctx.Err() != nil {
			continue
		}
		if len(w.Filter) == 0 || isEnd(err) {
			return err
		}
		// This tunnel has no such peer, say. Another filter may fit.
		t.Mu.Lock()
		t.FilterError = err.Error()
		t.Mu.Unlock()
		l.version.Add(1)
		l.await(ctx, changed, same)
	}
	return nil
}

// watchFlow counts the events of the flow that is chosen where watch looks at a part: all of them, if
// they are not too many themselves.
func (l *Live) watchFlow(ctx context.Context, c Client, t *liveTunnel) error {
	var before flows.Key
	for ctx.Err() == nil {
		w, changed := l.wanted()
		every := l.everyOf(t)
		same := func(now Want) bool {
			e := l.everyOf(t)
			return now.Tunnel == w.Tunnel && now.Flow == w.Flow && (e.all > 1) == (every.all > 1) && e.flow == every.flow
		}
		if w.Tunnel != t.Name || w.Flow == (flows.Key{}) || every.all <= 1 {
			before = flows.Key{}
			l.setFull(t, nil, 1)
			l.await(ctx, changed, same)
			continue
		}
		err := l.until(ctx, changed, same, func(ctx context.Context) error {
			full := t.Full // which nobody else sets
			if w.Flow != before {
				l.setFull(t, nil, 1)
				if pause(ctx, chosenFor); ctx.Err() != nil {
					return nil
				}
				before, full = w.Flow, flows.New(flows.Options{MaxFlows: 64})
			}
			l.setFull(t, full, every.flow)
			_, err := c.Watch(ctx, control.WatchRequest{Filter: flowFilter(w.Flow), Every: uint(every.flow)},
				&taker{l: l, t: t.Tunnel, into: full})
			return err
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// setFull has a tunnel's ladder be of a table.
func (l *Live) setFull(t *liveTunnel, full *flows.Table, every uint64) {
	t.Mu.Lock()
	defer t.Mu.Unlock()
	t.Full, t.FullEvery = full, every
	if full != nil {
		full.SetEvery(every)
	}
}

// flowFilter is a filter that matches the events of a flow, and few others.
func flowFilter(k flows.Key) []string {
	client, server := k.Client.Addr(), k.Server.Addr()
	words := []string{"host", client.String(), "net", fmt.Sprintf("%s/%d", server, server.BitLen()), "proto", fmt.Sprint(k.Proto)}
	switch {
	case k.Proto != probe.ProtoTCP && k.Proto != probe.ProtoUDP:
	case k.Client.Port() != 0:
		words = append(words, "port", fmt.Sprint(k.Client.Port()))
	case k.Server.Port() != 0:
		words = append(words, "port", fmt.Sprint(k.Server.Port()))
	}
	return words
}

// until does something until ctx ends, or what is wanted is not the same any more, which is no
// error.
func (l *Live) until(ctx context.Context, changed <-chan struct{}, same func(Want) bool, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.await(ctx, changed, same)
		cancel()
	}()
	err := do(ctx)
	over := ctx.Err() != nil
	cancel()
	<-ended
	if over {
		return nil
	}
	return err
}

// await returns when what is wanted is not the same any more, or ctx ends.
func (l *Live) await(ctx context.Context, changed <-chan struct{}, same func(Want) bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		var now Want
		if now, changed = l.wanted(); !same(now) {
			return
		}
	}
}

// taker counts the events of a watch. It implements control.Watcher.
type taker struct {
	l     *Live
	t     *Tunnel
	into  *flows.Table
	taken int
	since time.Time
}

// Begin implements control.Watcher.
func (k *taker) Begin(int) error { return nil }

// Event implements control.Watcher.
func (k *taker) Event(e *probe.Event, names eventtext.Names) error {
	if k.taken%budget == 0 { // a slice is full
		if left := slice - time.Since(k.since); k.taken > 0 && left > 0 {
			time.Sleep(left)
		}
		k.since = time.Now()
	}
	k.taken++
	k.t.Mu.Lock()
	defer k.t.Mu.Unlock()
	k.t.learn(e.Peer, names)
	k.into.Event(e)
	k.l.version.Add(1)
	return nil
}

// Line implements control.Watcher: a node of an earlier release sends lines, of which nothing can
// be counted.
func (k *taker) Line([]byte) error { return errOldNode }

// Flush implements control.Watcher.
func (k *taker) Flush() error { return nil }

var errOldNode = errors.New("the node is of an earlier release, whose events cannot be counted: restart it")

// isEnd reports whether a watch ended with its node, rather than for its filter.
func isEnd(err error) bool {
	return errors.Is(err, control.ErrEnded) || errors.Is(err, errOldNode)
}

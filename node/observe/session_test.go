package observe

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// fake is a source that delivers what the test puts into it.
type fake struct {
	to      chan Observation
	starts  int
	started error
	closed  bool
}

func newFake(waiting int) *fake { return &fake{to: make(chan Observation, waiting)} }

func (f *fake) Start(context.Context, Selection) error { f.starts++; return f.started }
func (f *fake) Observations() <-chan Observation       { return f.to }
func (f *fake) Unseen() []string                       { return []string{"what a fake does not see"} }
func (f *fake) Close() error                           { f.closed = true; return nil }
func (f *fake) deliver(id int)                         { f.to <- packet(id) }

// packet is an observation with a number.
func packet(id int) Observation {
	return Observation{Packet: &Packet{Packet: &netfilter.Packet{Match: id}}}
}

// policy has the state that its function gives it.
type policy struct {
	heard []int
	looks int
	state func(*policy) State
}

func (p *policy) Add(o *Observation) { p.heard = append(p.heard, o.Packet.Packet.Match) }

func (p *policy) Look(context.Context) State { p.looks++; return p.state(p) }

func always(s State) *policy { return &policy{state: func(*policy) State { return s }} }

const (
	testLook   = 100 * time.Millisecond
	testLinger = 300 * time.Millisecond
)

// run runs a policy with a deadline of ten seconds, and returns how long it took.
func run(t *testing.T, p Policy, sources ...Source) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := NewSession(testLook, testLinger)
	defer s.Close()
	for _, src := range sources {
		if err := s.Start(ctx, src, Selection{}); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	s.Run(ctx, p)
	return time.Since(start)
}

// A session ends when its policy has enough, or at its deadline.
func TestEnd(t *testing.T) {
	// relapse is settled at first, open again when a packet comes, and then settled.
	relapse := func(p *policy) State {
		if len(p.heard) == 1 && p.looks < 10 {
			return Open
		}
		return Settled
	}
	for _, c := range []struct {
		name   string
		policy *policy
		want   time.Duration
	}{
		{name: "complete", policy: always(Complete), want: testLook},
		{name: "settled", policy: always(Settled), want: testLook + testLinger + testLook},
		{name: "open", policy: always(Open), want: 10 * time.Second},
		// A look each 100 ms, the packet, and the tenth look is that of 900 ms.
		{name: "open again", policy: &policy{state: relapse}, want: 900*time.Millisecond + testLinger + testLook},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newFake(1)
				time.AfterFunc(150*time.Millisecond, func() { src.deliver(1) })
				took := run(t, c.policy, src)
				if took != c.want {
					t.Errorf("ended after %v, want %v", took, c.want)
				}
				if !src.closed {
					t.Error("the source is not closed")
				}
			})
		})
	}
}

// late is a source that reports late what has happened.
type late struct {
	*fake
	happened []int
	after    time.Duration
}

func (l *late) Sync(mark int64) bool {
	if l.after < 0 {
		return false
	}
	time.AfterFunc(l.after, func() {
		for _, id := range l.happened {
			l.deliver(id)
		}
		l.happened = nil
		l.to <- Observation{mark: mark}
	})
	return true
}

// A policy that has enough hears first what the sources have yet to say of what has happened,
// and is asked again.
func TestLateSources(t *testing.T) {
	once := func(state State) func(*policy) State { // until something is heard, and for a second after that
		return func(p *policy) State {
			if len(p.heard) > 0 && p.looks < 15 {
				return Open
			}
			return state
		}
	}
	for _, c := range []struct {
		name  string
		state func(*policy) State
		after time.Duration
		want  time.Duration
	}{
		{"complete", func(*policy) State { return Complete }, time.Second, testLook + time.Second},
		{"settled", func(*policy) State { return Settled }, time.Second, 2*testLook + testLinger + time.Second},
		{"changes its mind", once(Complete), time.Millisecond, 1201 * time.Millisecond},
		{"observes nothing", func(*policy) State { return Complete }, -1, testLook},
		{"hangs", func(*policy) State { return Complete }, time.Hour, testLook + syncTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &late{newFake(2), []int{7, 8}, c.after}
				p := &policy{state: c.state}
				took := run(t, p, src, newFake(0))
				if heard := c.after >= 0 && c.after < time.Hour; heard != (len(p.heard) == 2) {
					t.Errorf("heard %v", p.heard)
				}
				if took != c.want {
					t.Errorf("ended after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// A lazy session asks its policy at each look only.
func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newFake(50)
		for id := range 50 {
			src.deliver(id)
		}
		s := NewSession(testLook, testLinger)
		s.Lazy = true
		defer s.Close()
		if err := s.Start(t.Context(), src, Selection{}); err != nil {
			t.Fatal(err)
		}
		p := &policy{state: func(p *policy) State {
			if p.looks == 2 {
				return Complete
			}
			return Open
		}}
		start := time.Now()
		s.Run(t.Context(), p)
		if took := time.Since(start); took != 2*testLook || len(p.heard) != 50 {
			t.Errorf("ended after %v and %d observations", took, len(p.heard))
		}
	})
}

// Each observation is looked at as soon as it comes, whichever source it comes from.
func TestHearsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFake(0), newFake(3)
		go func() {
			for id := range 50 {
				a.deliver(id)
			}
		}()
		go func() {
			for id := range 50 {
				b.deliver(100 + id)
			}
			close(b.to)
		}()
		p := &policy{state: func(p *policy) State {
			if len(p.heard) == 100 {
				return Complete
			}
			return Open
		}}
		if took := run(t, p, a, b); took != 0 {
			t.Errorf("took %v", took)
		}
		of := func(from, to int) []int {
			return slices.DeleteFunc(slices.Clone(p.heard), func(id int) bool { return id < from || id >= to })
		}
		if !slices.IsSorted(of(0, 100)) || !slices.IsSorted(of(100, 200)) || p.looks != 100 {
			t.Errorf("heard %v in %d looks", p.heard, p.looks)
		}
	})
}

// What was delivered of an old selection is not heard when a source is started again.
func TestStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(testLook, testLinger)
		src := newFake(0)
		if err := s.Start(t.Context(), src, Selection{}); err != nil {
			t.Fatal(err)
		}
		src.deliver(1)
		synctest.Wait() // the session has it at hand
		if err := s.Start(t.Context(), src, Selection{}); err != nil {
			t.Fatal(err)
		}
		go src.deliver(2)
		p := &policy{state: func(p *policy) State {
			if len(p.heard) > 0 {
				return Complete
			}
			return Open
		}}
		s.Run(t.Context(), p)
		if !slices.Equal(p.heard, []int{2}) || src.starts != 2 {
			t.Errorf("heard %v after %d starts", p.heard, src.starts)
		}
		s.Close()
	})
}

// What was delivered before the end is not lost to a policy that wants it.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := NewSession(0, 0)
		defer s.Close()
		src := newFake(4)
		if err := s.Start(ctx, src, Selection{}); err != nil {
			t.Fatal(err)
		}
		for id := range 4 {
			src.deliver(id)
		}
		synctest.Wait()
		cancel()
		p := always(Open)
		s.Run(ctx, p)
		s.Drain(p)
		if !slices.Equal(p.heard, []int{0, 1, 2, 3}) {
			t.Errorf("heard %v", p.heard)
		}
	})
}

// A source that cannot start says so, is closed all the same, and is not heard.
func TestCannotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(testLook, testLinger)
		src := newFake(1)
		src.started = errors.New("not here")
		if err := s.Start(t.Context(), src, Selection{}); !errors.Is(err, src.started) {
			t.Errorf("error %v", err)
		}
		src.deliver(1)
		p := always(Settled)
		s.Run(t.Context(), p)
		s.Close()
		if len(p.heard) > 0 || !src.closed {
			t.Errorf("heard %v, closed: %v", p.heard, src.closed)
		}
	})
}

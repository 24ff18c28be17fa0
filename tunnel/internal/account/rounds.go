package account

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// The accountant works in rounds, and only while there is something to find out: a
// round each [Every] as long as packets pass, or are inside the device. Then it
// sleeps, without a timer, until the next packet. Seams and accountant have one word
// in common, Accountant.active:
//
//	seam:       the packet is counted, then: nothing passed -> passed, asleep -> passed and wake
//	accountant: passed -> nothing passed, then: all packets are looked at, nothing passed -> asleep
//
// What is counted before the look is seen by it, and what is counted later finds the
// word as the look began, or asleep. So no packet is slept over.
const (
	nothingPassed uint32 = iota
	passed
	sleeping
)

// Busy notes that packets pass. The word is shared by all processors, so it is
// written only when it changes.
func (a *Accountant) Busy() {
	if a.active.Load() != passed && a.active.Swap(passed) == sleeping {
		a.kick()
	}
}

// Asleep reports whether the accountant sleeps, since there is nothing to find out.
func (a *Accountant) Asleep() bool { return a.active.Load() == sleeping }

// Worked is how many rounds the accountant has made.
func (a *Accountant) Worked() int64 { return a.work.count.Load() }

// rounds is where the accountant is.
type rounds struct {
	quiet bool         // the latest sweep found nothing inside the device
	count atomic.Int64 // of rounds
	next  time.Time    // when it has rested
}

// Run does the accounts until done is closed.
func (a *Accountant) Run(done <-chan struct{}) {
	timer := time.NewTimer(Every)
	defer timer.Stop()
	a.m.Clock.Keep()
	for {
		due := false
		select {
		case <-done:
			return
		case <-a.kicks:
			if !rest(done, time.Until(a.work.next)) {
				return
			}
		case <-timer.C:
			due = true
		}
		start := time.Now()
		idle := due && a.round()
		a.settleDue()
		if idle && a.fallAsleep() {
			if !a.sleep(done) {
				return
			}
			start = time.Now()
		}
		took := time.Since(start)
		a.work.next = start.Add(took + max(pause, restTimes*took))
		if due {
			timer.Reset(max(Every, restTimes*took))
		}
	}
}

// round looks at what is inside the device, and reports whether there is nothing, nor
// anything has passed since the round before.
func (a *Accountant) round() (idle bool) {
	a.m.Clock.Sync()
	if a.work.count.Add(1)%forgetRounds == 0 {
		a.forget()
		maps.DeleteFunc(a.idle, func(id probe.PeerID, _ *[3]idleness) bool { return a.m.Peers.Get(id).ID == 0 })
	}
	moved := a.active.Swap(nothingPassed) == passed
	if moved || !a.work.quiet {
		a.work.quiet = a.sweep()
	}
	return !moved && a.work.quiet
}

// settleDue finds out about what was missing in the round before: of what is missing
// since then more is known by the next one.
func (a *Accountant) settleDue() {
	a.mu.Lock()
	due := a.due
	a.due, a.gaps = a.gaps, nil
	a.mu.Unlock()
	a.settle(due)
}

// fallAsleep reports whether there is nothing left to do. From then on a seam that
// something passes wakes the accountant.
func (a *Accountant) fallAsleep() bool {
	if a.pending() {
		return false
	}
	a.m.Clock.Leave() // first: who finds the accountant asleep must not trust it
	if a.active.CompareAndSwap(nothingPassed, sleeping) {
		return true
	}
	a.m.Clock.Keep()
	return false
}

func (a *Accountant) pending() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.gaps)+len(a.due) > 0
}

// sleep waits until something passes or the device discards something, and reports false
// if done is closed by then.
func (a *Accountant) sleep(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-a.kicks:
	}
	a.active.Store(passed) // whatever it was, there is to be a round
	a.m.Clock.Keep()
	if a.pending() {
		a.kick()
	}
	return true
}

// rest waits for d, and reports false if done is closed by then.
func rest(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-done:
		return false
	case <-time.After(d):
		return true
	}
}

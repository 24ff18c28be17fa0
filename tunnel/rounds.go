package tunnel

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// The accountant works in rounds, and only while there is something to find out: a
// round each accountEvery as long as packets pass, or are inside the device. Then it
// sleeps, without a timer, until the next packet. Seams and accountant have one word
// in common, Tunnel.active:
//
//	seam:       the packet is counted, then: nothing passed -> passed, asleep -> passed and wake
//	accountant: passed -> nothing passed, then: all packets are looked at, nothing passed -> asleep
//
// What is counted before the look is seen by it, and what is counted later finds the
// word as the look began, or asleep. So no packet is slept over.
const (
	nothingPassed uint32 = iota
	passed
	asleep
)

// busy notes that packets pass. The word is shared by all processors, so it is
// written only when it changes.
func (t *Tunnel) busy() {
	if t.active.Load() != passed && t.active.Swap(passed) == asleep {
		t.acct.kick()
	}
}

// rounds is where the accountant is.
type rounds struct {
	quiet bool         // the latest sweep found nothing inside the device
	count atomic.Int64 // of rounds
	next  time.Time    // when it has rested
}

// run does the accounts until done is closed.
func (a *accountant) run(done <-chan struct{}) {
	timer := time.NewTimer(accountEvery)
	defer timer.Stop()
	a.t.m.Clock.Keep()
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
		a.work.next = start.Add(took + max(accountPause, accountRest*took))
		if due {
			timer.Reset(max(accountEvery, accountRest*took))
		}
	}
}

// round looks at what is inside the device, and reports whether there is nothing, nor
// anything has passed since the round before.
func (a *accountant) round() (idle bool) {
	a.t.m.Clock.Sync()
	if a.work.count.Add(1)%accountForget == 0 {
		a.forget()
		maps.DeleteFunc(a.idle, func(id probe.PeerID, _ *[3]idleness) bool { return a.t.m.Peers.Get(id).ID == 0 })
	}
	moved := a.t.active.Swap(nothingPassed) == passed
	if moved || !a.work.quiet {
		a.work.quiet = a.sweep()
	}
	return !moved && a.work.quiet
}

// settleDue finds out about what was missing in the round before: of what is missing
// since then more is known by the next one.
func (a *accountant) settleDue() {
	a.mu.Lock()
	due := a.due
	a.due, a.gaps = a.gaps, nil
	a.mu.Unlock()
	a.settle(due)
}

// fallAsleep reports whether there is nothing left to do. From then on a seam that
// something passes wakes the accountant.
func (a *accountant) fallAsleep() bool {
	if a.pending() {
		return false
	}
	a.t.m.Clock.Leave() // first: who finds the accountant asleep must not trust it
	if a.t.active.CompareAndSwap(nothingPassed, asleep) {
		return true
	}
	a.t.m.Clock.Keep()
	return false
}

func (a *accountant) pending() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.gaps)+len(a.due) > 0
}

// sleep waits until something passes or the device discards something, and reports false
// if done is closed by then.
func (a *accountant) sleep(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-a.kicks:
	}
	a.t.active.Store(passed) // whatever it was, there is to be a round
	a.t.m.Clock.Keep()
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

package history

import (
	"context"
	"log/slog"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
)

const (
	// keepRest is between two looks at the peers, and keepRestPeer as much more for each of them: a
	// look takes some 100 us of it, and so a hundredth of a processor at most.
	keepRest     = 2 * time.Second
	keepRestPeer = 10 * time.Millisecond
)

// Watched is a tunnel whose history is kept.
type Watched struct {
	Interface string
	// Await waits for something that is rare to happen, such as a handshake or a drop, behind what
	// was seen: see probe.Recorder.Await.
	Await func(ctx context.Context, seen uint64) (last uint64, err error)
	// Peers are the verdicts on the peers of the configuration now.
	Peers func(ctx context.Context) ([]diagnose.PeerReport, error)
	Log   *slog.Logger
}

// Keep writes down what becomes of a tunnel's peers, until ctx ends. It looks at
// them once something has happened, or a session has run out: while nothing passes it sleeps. What
// cannot be written is logged, and tried again with the next change.
func Keep(ctx context.Context, b *Book, w Watched) {
	var failed string
	say := func(err error) {
		if err != nil && err.Error() != failed && ctx.Err() == nil {
			w.Log.Error("the history has a gap", "interface", w.Interface, "error", err)
		}
		if failed = ""; err != nil {
			failed = err.Error()
		}
	}
	var seen uint64
	for ctx.Err() == nil {
		start := time.Now()
		peers, err := w.Peers(ctx)
		if err == nil {
			err = b.Note(time.Now(), peers)
		}
		say(err)
		if !pause(ctx, keepRest+time.Duration(len(peers))*keepRestPeer) {
			break
		}
		seen = w.await(ctx, seen, nextEnd(peers, start))
	}
}

// await waits until something has happened or a session ends, and returns what was seen by then.
func (w *Watched) await(ctx context.Context, seen uint64, end time.Time) uint64 {
	if !end.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, end)
		defer stop()
	}
	last, err := w.Await(ctx, seen)
	if err != nil { // nothing has, or ctx ended
		return seen
	}
	return last
}

// nextEnd is when the first of the sessions that there were at a time ends, zero if there are none.
func nextEnd(peers []diagnose.PeerReport, at time.Time) (end time.Time) {
	for i := range peers {
		p := &peers[i]
		if p.HandshakeAge == 0 || p.HandshakeAge > sessionLife || p.State != diagnose.StateUp && p.State != diagnose.StateDegraded {
			continue
		}
		if e := at.Add(sessionLife - p.HandshakeAge + time.Second); end.IsZero() || e.Before(end) {
			end = e
		}
	}
	return end
}

// pause waits for d, and reports false if ctx ends by then.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

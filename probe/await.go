package probe

import "context"

// Await waits until a lane holds an event behind the one whose Seq is seen, and returns the Seq of
// the lane's latest. It takes no timer, and what passes in other lanes does not wake it. The error
// is ctx's.
func (r *Recorder) Await(ctx context.Context, id Lane, seen uint64) (last uint64, err error) {
	l := &r.lanes[id]
	for {
		wait := l.awaited.Load()
		if wait == nil {
			next := make(chan struct{})
			if !l.awaited.CompareAndSwap(nil, &next) {
				continue
			}
			wait = &next
		}
		// Looked at last: who publishes an event later than this finds the channel.
		if last = l.last.Load(); last > seen {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-*wait:
		}
	}
}

// announce wakes who waits for an event of the lane.
func (l *lane) announce() {
	if wait := l.awaited.Load(); wait != nil && l.awaited.CompareAndSwap(wait, nil) {
		close(*wait)
	}
}

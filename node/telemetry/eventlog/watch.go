package eventlog

import (
	"context"
	"time"
)

const (
	rest = 10 * time.Second // between two looks
	// longest is how long nothing is looked at although nothing rare has happened: packets are
	// dropped without.
	longest = time.Minute
)

// Watched is a tunnel that is told of.
type Watched struct {
	// Await waits for something that is rare to happen, behind what was seen: see
	// probe.Recorder.Await.
	Await func(ctx context.Context, seen uint64) (last uint64, err error)
	Look  func() Seen
}

// Watch tells of what differs from one look to the next, until ctx ends, and then of the rest.
func (l *Log) Watch(ctx context.Context, w Watched) {
	d := &differ{log: l}
	var seen uint64
	for {
		d.look(w.Look())
		if pause := time.NewTimer(rest); !wait(ctx, pause) {
			break
		}
		bounded, stop := context.WithTimeout(ctx, longest)
		if last, err := w.Await(bounded, seen); err == nil {
			seen = last
		}
		stop()
		if ctx.Err() != nil {
			break
		}
	}
	d.look(w.Look())
}

func wait(ctx context.Context, t *time.Timer) bool {
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
